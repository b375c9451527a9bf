"""The report in one breath."""

from halo_daemon.analyzer.figures import chance
from halo_daemon.findings import Finding, Report, Summary, SummaryCounts, is_silent

_LOUD = frozenset({"critical", "high", "medium"})


def summary_of(report: Report) -> Summary:
    """Headline, the findings to read first, and counts by state."""
    states = [finding.state for finding in report.findings]
    gone = [row.state for row in report.resolved]
    counts = SummaryCounts(
        new=states.count("new"),
        ongoing=states.count("ongoing"),
        regressed=states.count("regressed"),
        reopened=states.count("reopened"),
        resolved=gone.count("resolved") + states.count("resolved"),
        not_seen=gone.count("not_seen"),
        muted=sum(finding.triage.state == "muted" for finding in report.findings),
    )
    first = [f.finding_id for f in _told(report) if f.severity in _LOUD][:3]
    return Summary(headline=headline_of(report), top_changes=tuple(first), counts=counts)


def headline_of(report: Report) -> str:
    """One sentence that cannot be mistaken: what was read, what was found."""
    examined = report.coverage.examined_traces
    if examined == 0:
        return _nothing_read(report)
    sample = report.coverage.sample
    read = f"{_plural(examined, 'trace')} examined"
    if sample:
        read = f"{examined:,} of {_plural(sample.of, 'trace')} examined"
    skipped = _skipped(report)
    if skipped:
        read += f", {skipped:,} skipped"
    if not report.findings:
        weak = len(report.weak_signals)
        also = f"; {_plural(weak, 'weak signal')} below minimum support" if weak else ""
        return f"No findings: {read}{also}{_gone(report)}."
    found = f"{_plural(len(report.findings), 'finding')} in {read}"
    told = _told(report)
    if not told:
        return f"{found}, all muted or called false{_gone(report)}."
    return f"{found}. First: {_in_words(told[0])}."


def headline_of_absent(report: Report, wanted: str) -> str:
    """One sentence about a finding that a look for it alone did not see."""
    examined = _plural(report.coverage.examined_traces, "trace")
    if not report.resolved:
        return f"{wanted} was not seen: {examined} examined."
    row = report.resolved[0]
    return (
        f"{row.finding_id} was not seen: {examined} examined, 0 of"
        f" {_plural(row.exposure, 'eligible trace')} since it was last seen;"
        f" chance of that had nothing changed: {chance(row.p_zero_if_unchanged)}."
    )


def _told(report: Report) -> list[Finding]:
    """Those that people did not silence, in the order of the report."""
    return [finding for finding in report.findings if not is_silent(finding.triage)]


def _gone(report: Report) -> str:
    """What became of findings of earlier reports: "no findings" alone would read as "all well"."""
    states = [row.state for row in report.resolved]
    resolved, unknown = states.count("resolved"), states.count("not_seen")
    told = [f"; {_plural(resolved, 'earlier finding')} resolved"] if resolved else []
    if unknown:
        told.append(
            f"; {_plural(unknown, 'earlier finding')} not seen, in too few traces to call"
            f" {'it' if unknown == 1 else 'them'} resolved"
        )
    return "".join(told)


def _nothing_read(report: Report) -> str:
    skipped = _skipped(report)
    if skipped:
        return f"NOTHING WAS ANALYSED: {_plural(skipped, 'trace')} in the window, all skipped."
    return "NOTHING WAS ANALYSED: there is no trace in the window."


def _skipped(report: Report) -> int:
    return sum(row.count for row in report.coverage.skipped)


def _in_words(finding: Finding) -> str:
    counts = finding.counts
    return (
        f"{finding.title}, {counts.affected_traces} of"
        f" {_plural(counts.eligible_traces, 'eligible trace')}"
    )


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
