"""Which spans a finding is shown by: the plainest cases, a recovery, a counterexample."""

from collections.abc import Iterable, Iterator

from halo_daemon.analyzer.observation import Quote
from halo_daemon.analyzer.partial import Group, Partial
from halo_daemon.analyzer.subjects import Subject
from halo_daemon.findings import Evidence

_CASES_WITH_RECOVERY = 1


def evidence_of(
    known: Partial, users: Iterable[tuple[str, str]], group: Group, limit: int
) -> tuple[Evidence, ...]:
    """
    Choose at most *limit* spans for one finding of *users*, agents and names, case by case.

    One recovered case is among them where there is one, and the last row is a
    success of the same tool in another trace where there is one. Quotes are not
    verified yet.
    """
    counterexample = _counterexample(known, users, group)
    room = limit - len(counterexample)
    rows: list[Evidence] = []
    for trace_id, quotes in _cases(group):
        if rows and len(rows) + len(quotes) > room:
            continue
        rows += [_row(trace_id, cited) for cited in quotes[: room - len(rows)]]
    return (*rows, *counterexample)


def _cases(group: Group) -> Iterator[tuple[str, tuple[Quote, ...]]]:
    lasting = group.unrecovered
    recovered = group.recovered[: _CASES_WITH_RECOVERY if lasting else None]
    for case in (*lasting[:1], *recovered, *lasting[1:]):
        yield case.trace_id, case.quotes


def _counterexample(
    known: Partial, users: Iterable[tuple[str, str]], group: Group
) -> list[Evidence]:
    examples = (e for user in users for e in known.examples.get(Subject(*user), ()))
    return [_row(e.trace_id, e.quote) for e in examples if e.trace_id not in group.hits][:1]


def _row(trace_id: str, cited: Quote) -> Evidence:
    return Evidence(
        trace_id=trace_id,
        span_id=cited.span_id,
        role=cited.role,
        attribute=cited.attribute,
        char_start=cited.start,
        char_end=cited.end,
        quote=cited.text,
    )
