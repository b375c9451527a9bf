"""Two reports held against each other: what is new, gone, worse, better."""

from typing import Literal, NamedTuple

from halo_daemon.analyzer.figures import percent
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


def diff_reports(older: Report, newer: Report) -> list[DiffRow]:
    """
    Compare the findings of two reports of one project.

    Worse and better are said only where the interval of the difference leaves zero
    out. New ones first, then worse, better, gone and the rest; within each by id.
    """
    before = {finding.finding_id: finding for finding in older.findings}
    after = {finding.finding_id: finding for finding in newer.findings}
    rows = [_row(before.get(name), after.get(name)) for name in sorted({*before, *after})]
    return sorted(rows, key=lambda row: (_ORDER.index(row.change), row.finding_id))


def _row(before: Finding | None, after: Finding | None) -> DiffRow:
    shown = after or before
    assert shown is not None
    if before is None or after is None:
        return DiffRow(
            "new" if before is None else "gone",
            shown.finding_id,
            shown.title,
            before.counts.rate if before else None,
            after.counts.rate if after else None,
            None,
        )
    interval = newcombe(
        after.counts.affected_traces,
        after.counts.eligible_traces,
        before.counts.affected_traces,
        before.counts.eligible_traces,
    )
    change: Change = "worse" if interval.low > 0 else "better" if interval.high < 0 else "same"
    rates = before.counts.rate, after.counts.rate
    return DiffRow(change, shown.finding_id, shown.title, *rates, interval)


def render_diff(rows: list[DiffRow]) -> str:
    """The differences as lines of plain text; one line that says so when there are none."""
    if not rows:
        return "neither report has findings\n"
    names = short_ids(row.finding_id for row in rows)
    width = max(len(name) for name in names.values())
    lines = [
        f"{row.change:<6}  {names[row.finding_id]:<{width}}  {_rates(row):<24}"
        f"  {one_line(row.title, limit=120)}".rstrip()
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _rates(row: DiffRow) -> str:
    before = percent(row.rate_before) if row.rate_before is not None else "–"
    after = percent(row.rate_after) if row.rate_after is not None else "–"
    return f"{before} → {after}"
