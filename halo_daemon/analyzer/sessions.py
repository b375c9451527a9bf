"""
What only a whole session shows: a user who asks again for what the run before should have done.

No run shows it alone. It is seen when all traces are known, from their facts only, and
does not depend on their order.
"""

from itertools import pairwise

from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.observation import Quote
from halo_daemon.analyzer.partial import (
    MAX_CASES,
    Case,
    Checked,
    Group,
    Hit,
    Partial,
    SpanRole,
    TraceFacts,
    best,
)
from halo_daemon.analyzer.populations import population_of
from halo_daemon.analyzer.requests import is_same
from halo_daemon.analyzer.rules.feedback import ASKED_AGAIN, NEGATIVE_FEEDBACK

_LONGEST_WAIT_NS = 30 * 60 * 10**9
"""Whoever comes back later may want the same once more."""

_SHORTEST_WAIT_NS = 2 * 10**9
"""Whoever asks again sooner has read nothing: a client that retries."""

_MOST_TIMES = 4
"""One request made more often than that in a session is made by a program."""


def add_asked_again(known: Partial, rule_id: str) -> None:
    """
    Add a finding for every agent whose users ask again for the same.

    Affected is the run that did not do what was asked; eligible are runs that another
    one of their session follows. What *rule_id* has checked is counted in sessions: a
    trace that names none is one by itself. Adding twice changes nothing.
    """
    sessions: dict[str, list[TraceFacts]] = {}
    for facts in known.traces.values():
        sessions.setdefault(facts.session_id or f"\0{facts.trace_id}", []).append(facts)
    if known.traces:
        known.checked[rule_id] = _in_sessions(known.checked.get(rule_id, Checked()), len(sessions))
    for session in sessions.values():
        if len(session) > 1:
            session.sort(key=lambda facts: (facts.start_unix_ns, facts.trace_id))
            _add(known, session)


def _in_sessions(in_traces: Checked, sessions: int) -> Checked:
    failed = min(in_traces.not_checked["rule_failed"], sessions)
    counted = Checked(checked=sessions - failed, of=sessions)
    if failed:
        counted.not_checked["rule_failed"] = failed
    return counted


def _add(known: Partial, session: list[TraceFacts]) -> None:
    times: dict[str, int] = {}
    for facts in session:
        times[facts.request.digest] = times.get(facts.request.digest, 0) + 1
    for facts, following in pairwise(session):
        key = FindingKey(NEGATIVE_FEEDBACK, facts.agent, "", ASKED_AGAIN, "")
        known.eligible.setdefault(population_of(key), set()).add(facts.trace_id)
        if times[facts.request.digest] <= _MOST_TIMES and _is_asked_again(facts, following):
            _show(known.groups.setdefault(key, Group()), facts)


def _is_asked_again(facts: TraceFacts, following: TraceFacts) -> bool:
    waited_ns = following.start_unix_ns - facts.end_unix_ns
    return (
        facts.agent == following.agent
        and not facts.is_open
        and _SHORTEST_WAIT_NS <= waited_ns <= _LONGEST_WAIT_NS
        and is_same(facts.request, following.request, is_equal_text=facts.task == following.task)
    )


def _show(group: Group, facts: TraceFacts) -> None:
    """Show *group* by the root span; a trace that shows it already stays as it is."""
    if facts.trace_id in group.hits:
        return
    group.hits[facts.trace_id] = Hit(
        roles=(SpanRole(facts.root_span_id, "symptom", -1),),
        occurrences=1,
        spans=1,
        is_recovered=False,
        wasted=(),
        certainty="candidate",
        is_weak=False,
    )
    cited = Quote(facts.root_span_id, "symptom", "", 0, 0, "")
    case = Case(-1, facts.steps, facts.trace_id, (cited,))
    group.unrecovered = best([*group.unrecovered, case], MAX_CASES)
