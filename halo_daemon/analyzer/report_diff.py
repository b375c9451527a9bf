"""Two reports held against each other: what is new, gone, worse, better."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from halo_daemon.analyzer.figures import percent, points
from halo_daemon.analyzer.safe_text import one_line
from halo_daemon.analyzer.stats import newcombe
from halo_daemon.findings import Finding, Report, short_ids

Change = Literal["new", "gone", "worse", "better", "same"]
_ORDER: tuple[Change, ...] = ("new", "worse", "better", "gone", "same")


class DiffRow(NamedTuple):
    """One finding in two reports."""

    change: Change
    finding_id: str
    title: str
    rate_before: float | None
    """None when the older report does not have it."""
    rate_after: float | None
    """None when the newer report does not have it."""
    ci95: tuple[float, float] | None
    """Interval of the difference, newer minus older; None unless both have it."""
    traces_before: tuple[int, int] | None
    """Affected and eligible ones; None when the older report does not have it."""
    traces_after: tuple[int, int] | None
    """The same of the newer report."""


def diff_reports(older: Report, newer: Report) -> list[DiffRow]:
    """
    Compare the findings of two reports of one project.

    What goes on under another id, or as a part of another, is the same finding. Worse and
    better are said only where the interval of the difference leaves zero out. New ones
    first, then worse, better, gone and the rest; within each by id.
    """
    rows, left = [], {finding.finding_id: finding for finding in older.findings}
    for after in sorted(newer.findings, key=lambda finding: finding.finding_id):
        same = [row for row in older.findings if _is_same(row, after)]
        rows.append(_row(max(same, key=_standing(after), default=None), after))
        for row in same:
            left.pop(row.finding_id, None)
    rows += [_row(before, None) for before in left.values()]
    return sorted(rows, key=lambda row: (_ORDER.index(row.change), row.finding_id))


def _is_same(before: Finding, after: Finding) -> bool:
    return (
        before.finding_id == after.finding_id
        or before.finding_id in {*after.supersedes, *after.merged_from}
        or after.finding_id in {*before.supersedes, *before.merged_from}
    )


def _standing(after: Finding) -> Callable[[Finding], tuple[bool, float, str]]:
    """Of several that went on as one, itself, else the most frequent is what it is held against."""

    def key(before: Finding) -> tuple[bool, float, str]:
        is_itself = before.finding_id == after.finding_id
        return is_itself, before.counts.rate, before.finding_id

    return key


def _row(before: Finding | None, after: Finding | None) -> DiffRow:
    shown = after or before
    assert shown is not None
    change: Change = "new" if before is None else "gone"
    interval = None
    if before is not None and after is not None:
        interval = newcombe(*_traces(after), *_traces(before))
        change = "worse" if interval.low > 0 else "better" if interval.high < 0 else "same"
    return DiffRow(
        change=change,
        finding_id=shown.finding_id,
        title=shown.title,
        rate_before=before.counts.rate if before else None,
        rate_after=after.counts.rate if after else None,
        ci95=interval,
        traces_before=_traces(before) if before else None,
        traces_after=_traces(after) if after else None,
    )


def _traces(finding: Finding) -> tuple[int, int]:
    return finding.counts.affected_traces, finding.counts.eligible_traces


def render_diff(rows: list[DiffRow]) -> str:
    """The differences as lines of plain text; one line that says so when there are none."""
    if not rows:
        return "neither report has findings\n"
    names = short_ids(row.finding_id for row in rows)
    width = max(len(name) for name in names.values())
    rates = [_rates(row) for row in rows]
    rate_width = max(map(len, rates))
    lines = [
        f"{row.change:<6}  {names[row.finding_id]:<{width}}  {rate:<{rate_width}}"
        f"  {one_line(row.title, limit=120)}".rstrip()
        for row, rate in zip(rows, rates, strict=True)
    ]
    return "\n".join(lines) + "\n"


def _rates(row: DiffRow) -> str:
    """``16/34 (47 %) → 39/59 (66 %), -1.5 to +38.1 points``."""
    told = f"{_share(row.traces_before)} → {_share(row.traces_after)}"
    return f"{told}, {points(row.ci95)}" if row.ci95 else told


def _share(traces: tuple[int, int] | None) -> str:
    if traces is None:
        return "–"
    affected, eligible = traces
    return f"{affected:,}/{eligible:,} ({percent(affected / eligible)})" if eligible else "0/0"
