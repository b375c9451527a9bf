"""The report as a table of plain text; colour is added by whoever knows the terminal."""

from collections import Counter
from collections.abc import Iterator

from halo_daemon.analyzer.figures import (
    cost,
    coverage_in_words,
    interval,
    percent,
    plural,
    state_of,
)
from halo_daemon.analyzer.safe_text import one_line
from halo_daemon.analyzer.wrapping import wrapped
from halo_daemon.findings import (
    MAX_ANSWER_CHARS,
    Finding,
    FindingState,
    Report,
    Severity,
    is_silent,
    short_ids,
)

_ORDER: tuple[Severity, ...] = ("critical", "high", "medium", "low", "info")
_GONE: tuple[FindingState, ...] = ("resolved", "not_seen")
_INDENT = "  "
_SEPARATOR = " · "
_MAX_NAMES = 4
_TITLE_WIDTH = 40
"""Columns without which a title goes below its severity, id and state, not beside them."""


def render_text(report: Report, *, width: int = 80) -> str:
    """
    Headline, counts, one entry a finding, what was not looked at; ends with a newline.

    Lines have at most *width* columns where their words allow it: no word is cut.
    """
    lines = [*wrapped(one_line(report.summary.headline), width), ""]
    lines += wrapped(count_line(report), width, first=_INDENT, then=_INDENT)
    if report.findings:
        lines.append("")
        lines += _entries(report, width)
    lines += _aside(report, width)
    if report.answer is not None:
        lines += ["", *wrapped(f"Asked: {_paragraph(report.answer.question)}", width)]
        for paragraph in report.answer.text.splitlines():
            lines += wrapped(_paragraph(paragraph), width, first=_INDENT, then=_INDENT)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _paragraph(text: str) -> str:
    return one_line(text, limit=MAX_ANSWER_CHARS)


def count_line(report: Report) -> str:
    """Findings by severity, those gone, quotes verified and traces examined, on one line."""
    severities = Counter(finding.severity for finding in report.findings)
    found, quotes = report.coverage.evidence_verified
    parts = [plural(len(report.findings), "finding")]
    parts += [f"{severities[name]} {name}" for name in _ORDER if severities[name]]
    gone = Counter(row.state for row in report.resolved)
    parts += [f"{gone[state]} {state.replace('_', ' ')}" for state in _GONE if gone[state]]
    if quotes:
        parts.append(f"evidence verified {found}/{quotes}")
    parts.append(coverage_in_words(report))
    return _SEPARATOR.join(parts)


def _entries(report: Report, width: int) -> Iterator[str]:
    names = short_ids(finding.finding_id for finding in report.findings)
    id_width = max(len(name) for name in names.values())
    severity_width = max(len(finding.severity) for finding in report.findings)
    state_width = max(len(_state(finding)) for finding in report.findings)
    margin = " " * (len(_INDENT) + severity_width + id_width + state_width + 6)
    is_beside = width - len(margin) >= _TITLE_WIDTH
    below = margin if is_beside else 2 * _INDENT
    for finding in report.findings:
        head = (
            f"{finding.severity.upper():<{severity_width}}  "
            f"{names[finding.finding_id]:<{id_width}}  {_state(finding):<{state_width}}  "
        )
        title = one_line(finding.title, limit=160)
        if not is_beside:
            yield _INDENT + head
        yield from wrapped(title, width, first=_INDENT + head if is_beside else below, then=below)
        facts = _SEPARATOR.join(_facts(report, finding))
        yield from wrapped(facts, width, first=below, then=below)


def _state(finding: Finding) -> str:
    """A silenced one says so first of all."""
    silenced = finding.triage.state.replace("_", " ")
    return silenced if is_silent(finding.triage) else state_of(finding)


def _facts(report: Report, finding: Finding) -> Iterator[str]:
    parts = [*finding.fingerprint.parts, "", ""]
    yield one_line(parts[1] or report.project, limit=60)
    if parts[2]:
        yield one_line(parts[2], limit=60)
    counts = finding.counts
    yield (
        f"{counts.affected_traces:,} of {counts.eligible_traces:,} traces"
        f" ({percent(counts.rate)}, 95 % CI {interval(counts.ci95)})"
    )
    if finding.by_subject:
        hit = [name for name, row in finding.named_subjects if row.affected]
        names = ", ".join(one_line(name, limit=30) for name in hit[:_MAX_NAMES])
        more = len(hit) - _MAX_NAMES
        yield f"in {names}" + (f" and {more} more" if more > 0 else "")
    if counts.recovered:
        yield f"{counts.recovered:,} recovered"
    wasted = cost(finding.cost)
    if wasted != "–":
        yield f"≈ {wasted} wasted"
    if finding.triage.state == "acknowledged":
        by = one_line(finding.triage.by, limit=60)
        yield f"acknowledged by {by}" if by else "acknowledged"


def _aside(report: Report, width: int) -> Iterator[str]:
    notes = []
    if report.dataset.open_traces:
        notes.append(f"{plural(report.dataset.open_traces, 'trace')} still open")
    notes += [
        f"{plural(row.count, 'trace')} skipped: {row.reason}" for row in report.coverage.skipped
    ]
    if report.coverage.quarantined_lines:
        notes.append(f"{plural(report.coverage.quarantined_lines, 'line')} not readable")
    if report.weak_signals:
        notes.append(f"{plural(len(report.weak_signals), 'weak signal')} below minimum support")
    if report.unverified_claims:
        notes.append(f"{plural(len(report.unverified_claims), 'claim')} not verified")
    if notes:
        yield ""
        yield from wrapped(_SEPARATOR.join(notes), width, first=_INDENT, then=_INDENT)
