"""The statistical tests of a report, one family: what is claimed is corrected for all of them."""

from collections import Counter
from collections.abc import Collection, Mapping

from halo_daemon.analyzer.change_point import Cut, change_point
from halo_daemon.analyzer.changes import release_rows, release_tests
from halo_daemon.analyzer.contrast import Contrasts, contrast
from halo_daemon.analyzer.fingerprint import FindingKey, finding_id
from halo_daemon.analyzer.outcome import Outcome
from halo_daemon.analyzer.partial import Group, Partial
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.findings import DayCount, RateChange, ReleaseDiff
from halo_daemon.proto.times import format_unix_ns

_DIGITS = 6
_DAY_CHARS = 10


def tested(
    known: Partial,
    groups: Mapping[FindingKey, Group],
    could: Mapping[FindingKey, Collection[str]],
    *,
    settings: MinerSettings,
    past: Mapping[str, tuple[DayCount, ...]],
) -> tuple[Contrasts, tuple[ReleaseDiff, ...], dict[str, RateChange]]:
    """
    Every test of the report, corrected together: outcome, releases, days.

    *could* holds the traces that could have shown each of *groups*, *past* daily counts
    of earlier windows by finding id. Of the releases and days, only what holds at
    ``settings.fdr_q`` is in the answer; changes come by finding id.
    """
    affected = {
        finding_id(key): frozenset(t for t, hit in group.hits.items() if not hit.is_weak)
        for key, group in groups.items()
    }
    eligible = {finding_id(key): frozenset(traces) for key, traces in could.items()}
    releases = release_tests(known, affected, eligible)
    cuts = _cuts(known, affected, eligible, past)
    contrasts = contrast(
        known,
        affected,
        outcomes_of(known),
        fdr_q=settings.fdr_q,
        further_p=[*(test.p for test in releases), *(cut.p for cut in cuts.values())],
    )
    q_of_releases = contrasts.further_q[: len(releases)]
    q_of_cuts = contrasts.further_q[len(releases) :]
    changes = {
        identity: RateChange(
            at=cut.at,
            before=round(cut.before, _DIGITS),
            after=round(cut.after, _DIGITS),
            q=round(q, _DIGITS),
        )
        for (identity, cut), q in zip(cuts.items(), q_of_cuts, strict=True)
        if q <= settings.fdr_q
    }
    return contrasts, release_rows(releases, q_of_releases, fdr_q=settings.fdr_q), changes


def _cuts(
    known: Partial,
    affected: Mapping[str, frozenset[str]],
    eligible: Mapping[str, frozenset[str]],
    past: Mapping[str, tuple[DayCount, ...]],
) -> dict[str, Cut]:
    """The likeliest change of every finding's daily rate, by id, where there are days enough."""
    day_of = {
        trace_id: format_unix_ns(facts.start_unix_ns)[:_DAY_CHARS]
        for trace_id, facts in known.traces.items()
    }
    cuts = {}
    for identity in sorted(affected):
        hits = Counter(day_of[trace_id] for trace_id in affected[identity])
        could = Counter(day_of[trace_id] for trace_id in eligible[identity])
        days = [DayCount(day, hits[day], n) for day, n in could.items()]
        cut = change_point([*past.get(identity, ()), *days])
        if cut:
            cuts[identity] = cut
    return cuts


def outcomes_of(known: Partial) -> dict[str, Outcome]:
    """How each trace ended, by its id."""
    return {trace_id: facts.outcome for trace_id, facts in known.traces.items()}
