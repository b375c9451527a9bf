"""Numbers as people read them, the same in every rendering."""

import math

from halo_daemon.findings import (
    Association,
    Cost,
    Counts,
    ErrorRate,
    Finding,
    RateChange,
    ReleaseDiff,
    Report,
)

_THOUSAND = 1_000
_MILLION = 1_000_000


def percent(share: float) -> str:
    """``23 %``; one digit more below ten where it says something."""
    value = share * 100
    # A share such as 0.07 is a whole number of per cents but for rounding.
    if value >= 10 or math.isclose(value, round(value), abs_tol=1e-9):  # noqa: PLR2004
        return f"{value:.0f} %"
    return f"{value:.1f} %"


def listed_otherwise(rate: ErrorRate) -> str:
    """Words for how many of those lists of traces call failed; ``""`` where they are the same."""
    if rate.listed is None or percent(rate.listed) == percent(rate.value):
        return ""
    return (
        f" ({percent(rate.listed)} in lists of traces, which leave out exit codes of commands"
        " and results that only prompts tell of)"
    )


def difference(share: float) -> str:
    """``+4.2 %``: how many points of per cent a rate went up or down."""
    return f"{share * 100:+.1f} %"


def adjusted(q: float) -> str:
    """``q 0.010`` of a p-value that was adjusted; one that rounds to nothing is no zero."""
    return f"q {q:.3f}" if q >= 0.0005 else "q < 0.001"  # noqa: PLR2004 -- what three digits show


def chance(p: float) -> str:
    """A probability in per cent; one that rounds to nothing is no zero."""
    return percent(p) if p >= 0.001 else "below 0.1 %"  # noqa: PLR2004 -- what one digit shows


def association(found: Association) -> str:
    """``goes with failed traces: odds ratio 3.1 (1.4–6.8), q 0.020, adjusted for length``."""
    low, high = map(_ratio, found.ci95)
    return (
        f"{found.wording} {found.outcome} traces: odds ratio {_ratio(found.odds_ratio)}"
        f" ({low}–{high}), {adjusted(found.q)},"
        f" adjusted for {' and '.join(found.adjusted_for) or 'nothing'}"
    )


def _ratio(odds: float) -> str:
    """Two digits below one, where one digit may be none; no more than data can tell above."""
    if odds >= _THOUSAND:
        return "over 1,000"
    return f"{odds:.2f}" if odds < 1 else f"{odds:.1f}"


def points(ci95: tuple[float, float]) -> str:
    """``+2.6 to +34.9 points``: the interval of a difference of rates."""
    low, high = ci95
    return f"{low * 100:+.1f} to {high * 100:+.1f} points"


def release_difference(found: ReleaseDiff) -> str:
    """``+4.2 % (95 % +1.0 % to +7.4 %, q 0.010)``."""
    low, high = map(difference, found.ci95)
    return f"{difference(found.diff)} (95 % {low} to {high}, {adjusted(found.q)})"


def interval(ci95: tuple[float, float]) -> str:
    """``16–32`` in per cent."""
    low, high = (percent(bound).removesuffix(" %") for bound in ci95)
    return f"{low}–{high}"


def affected(counts: Counts) -> str:
    """``22/96 (23 %, 16–32)``."""
    share = f"{percent(counts.rate)}, {interval(counts.ci95)}"
    return f"{counts.affected_traces:,}/{counts.eligible_traces:,} ({share})"


def coverage_in_words(report: Report) -> str:
    """``coverage 96/96 traces``; of a sample, against the whole window."""
    examined, sample = report.coverage.examined_traces, report.coverage.sample
    if sample is not None:
        return f"coverage {examined:,}/{sample.of:,} traces (a sample)"
    return f"coverage {examined:,}/{report.dataset.traces:,} traces"


def short_count(number: int) -> str:
    """``310k``, ``1.2M``; as it is below a thousand."""
    if number >= _MILLION:
        return f"{number / _MILLION:.1f}M"
    return f"{number / _THOUSAND:.0f}k" if number >= _THOUSAND else str(number)


def duration(ms: int) -> str:
    """``81 s``, ``340 ms``, ``12 min``."""
    if ms < _THOUSAND:
        return f"{ms} ms"
    seconds = ms / _THOUSAND
    if seconds < 120:  # noqa: PLR2004 -- two minutes read better in seconds
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"  # noqa: PLR2004


def cost(wasted: Cost) -> str:
    """What was wasted in the most telling unit; ``–`` when nothing was."""
    if wasted.wasted_usd:
        return f"${wasted.wasted_usd:,.2f}"
    if wasted.wasted_tokens:
        return f"{short_count(wasted.wasted_tokens)} tokens"
    return duration(wasted.wasted_ms) if wasted.wasted_ms else "–"


def state_of(finding: Finding) -> str:
    """``ongoing``, ``ongoing, escalating``; of a resolved one why it is among those seen."""
    if finding.state == "resolved":
        return "resolved since"
    return finding.state.replace("_", " ") + (", escalating" if finding.escalating else "")


def decision_in_words(finding: Finding) -> str:
    """``, muted until 2026-12-31 00:00``; nothing while nobody decided anything."""
    triage = finding.triage
    if triage.state == "open":
        return ""
    until = f" until {day_and_minute(triage.until)}" if triage.until else ""
    return f", {triage.state.replace('_', ' ')}{until}"


def change(found: RateChange) -> str:
    """``4 % → 11 % from 2026-11-12 on (q 0.010)``."""
    return (
        f"{percent(found.before)} → {percent(found.after)} from {found.at} on ({adjusted(found.q)})"
    )


def plural(number: int, noun: str) -> str:
    """``1 trace``, ``96 traces``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def day_and_minute(instant: str) -> str:
    """``2026-11-20 11:32`` of a time of the record."""
    return instant[:16].replace("T", " ")
