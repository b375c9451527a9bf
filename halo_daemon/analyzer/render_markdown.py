"""The report as Markdown, for people, for issues and for coding agents."""

from collections.abc import Iterable, Iterator

import orjson

from halo_daemon.analyzer.changes import changes_beside
from halo_daemon.analyzer.figures import (
    affected,
    association,
    chance,
    change,
    cost,
    coverage_in_words,
    day_and_minute,
    decision_in_words,
    listed_otherwise,
    percent,
    plural,
    points,
    release_difference,
    state_of,
)
from halo_daemon.analyzer.safe_text import clean, code_span, escaped, fenced, markdown, one_line
from halo_daemon.findings import Evidence, Finding, Report, short_ids

_MAX_LISTED = 50


def render_markdown(report: Report) -> str:
    """
    Write the whole report as Markdown with YAML front matter; ends with a newline.

    Words out of traces stand in code spans and fences only.
    """
    names = short_ids(f.finding_id for f in (*report.findings, *report.weak_signals))
    lines = [*_front_matter(report), *_overview(report), *_table(report, names)]
    for finding in report.findings:
        lines += _finding(report, finding, names[finding.finding_id])
    lines += _answer(report)
    lines += _changes(report)
    lines += _shorter(report, names)
    lines += _aside(report)
    return "\n".join(lines).rstrip("\n") + "\n"


def _front_matter(report: Report) -> Iterator[str]:
    window = f"{report.window.from_}/{report.window.to}"
    fields: tuple[tuple[str, object], ...] = (
        ("halo", report.schema_version),
        ("project", report.project),
        ("report", report.report_id),
        ("window", window),
        ("findings", report.summary.counts.model_dump()),
        ("json", "report.json"),
    )
    yield "---"
    # A JSON value is a YAML value, quoted by its own emitter.
    yield from (f"{key}: {orjson.dumps(value).decode()}" for key, value in fields)
    yield "---"
    yield ""


def _overview(report: Report) -> Iterator[str]:
    yield f"# {escaped(report.project)} – {_state_counts(report)}  ({day_and_minute(report.created_at)})"
    yield ""
    yield f"**In one breath:** {markdown(report.summary.headline)}"
    error_rate = report.totals.error_rate
    if error_rate.n:
        was = f", was {percent(error_rate.previous)}" if error_rate.previous is not None else ""
        yield (
            f"{plural(error_rate.n, 'trace')}, {percent(error_rate.value)} of them with an"
            f" error{was}{listed_otherwise(error_rate)}."
        )
    found, quotes = report.coverage.evidence_verified
    yield ""
    yield (
        f"{coverage_in_words(report).capitalize()}"
        f" · evidence verified {found}/{quotes} · engine {report.engine.mode}"
        f" ({report.engine.status})"
    )
    window = report.window
    yield (
        f"Window {day_and_minute(window.from_)} to {day_and_minute(window.to)} UTC,"
        f" by {window.by.replace('_', ' ')}."
    )
    yield ""


def _state_counts(report: Report) -> str:
    counts = report.summary.counts
    stated = [
        (counts.new, "new"),
        (counts.regressed, "regressed"),
        (counts.reopened, "reopened"),
        (counts.ongoing, "ongoing"),
        (counts.resolved, "resolved"),
        (counts.not_seen, "not seen"),
    ]
    return ", ".join(f"{number} {state}" for number, state in stated if number) or "no findings"


def _answer(report: Report) -> Iterator[str]:
    if report.answer is None:
        return
    yield "## What was asked"
    yield ""
    yield markdown(report.answer.question)
    yield ""
    yield fenced(clean(report.answer.text))
    yield ""
    yield "The model's words: what was checked stands among the findings."
    yield ""


def _table(report: Report, names: dict[str, str]) -> Iterator[str]:
    if not report.findings:
        return
    yield "| | Finding | State | Affected | Since | Cost |"
    yield "|---|---|---|---|---|---|"
    for finding in report.findings:
        name = names[finding.finding_id]
        since = day_and_minute(finding.first_seen or "")
        yield (
            f"| {finding.severity} | [{name}](#{name.lower()}) {markdown(finding.title)}"
            f" | {state_of(finding)}{escaped(decision_in_words(finding))} | {affected(finding.counts)} | {since}"
            f" | {cost(finding.cost)} |"
        )
    yield ""


def _finding(report: Report, finding: Finding, name: str) -> Iterator[str]:
    yield f"## {name}  {markdown(finding.title)} {{#{name.lower()}}}"
    yield ""
    yield f"**What** {finding.severity}, {finding.certainty}: {affected(finding.counts)} eligible traces,"
    if finding.counts.spans:
        yield (
            f"{plural(finding.counts.spans, 'occurrence')},"
            f" recovered from in {plural(finding.counts.recovered, 'trace')}."
        )
    yield f"Severity: {markdown(finding.severity_rule)}."
    yield ""
    if finding.by_subject:
        yield f"**Where** {_subjects(finding)}"
        yield ""
    if finding.association:
        yield f"**Outcome** {association(finding.association)}"
        yield ""
    yield from _trend(finding)
    beside = changes_beside(report, finding)
    if beside:
        said = ", ".join(f"{row.change} {row.kind} {code_span(row.name)}" for row in beside)
        yield f"**Changed in the same window** {said}"
        yield ""
    if finding.triage.note:
        by = f" ({code_span(finding.triage.by)})" if finding.triage.by else ""
        yield f"**Note** {code_span(finding.triage.note)}{by}"
        yield ""
    if finding.root_cause.text:
        yield f"**Likely cause** ({finding.root_cause.state}) {markdown(finding.root_cause.text)}"
        yield ""
    if finding.recommendation.text:
        yield f"**Try** {markdown(finding.recommendation.text)}"
        yield ""
    if finding.recommendation.check:
        yield f"**Check the fix** {code_span(finding.recommendation.check)}"
        yield ""
    for row in finding.evidence:
        yield from _evidence(row)
    yield from _how_counted(finding)


def _subjects(finding: Finding) -> str:
    rows = [
        f"{code_span(name)} {row.affected:,}/{row.eligible:,}"
        for name, row in finding.named_subjects[:_MAX_LISTED]
    ]
    more = len(finding.by_subject) - len(rows)
    return ", ".join(rows) + (f" and {more} more" if more else "")


def _trend(finding: Finding) -> Iterator[str]:
    trend = finding.trend
    if trend is None:
        return
    said = []
    if trend.previous_rate is not None:
        before = f"{percent(finding.counts.rate)}, was {percent(trend.previous_rate)}"
        said.append(f"{before} ({points(trend.diff_ci95)})" if trend.diff_ci95 else before)
    if trend.change:
        said.append(change(trend.change))
    if said:
        yield f"**Trend** {'; '.join(said)}"
        yield ""


def _evidence(row: Evidence) -> Iterator[str]:
    where = f"[span:{_id(row.trace_id)}:{_id(row.span_id)}]"
    if not row.quote:
        yield f"{row.role}, {where}"
        yield ""
        return
    place = f"{code_span(row.attribute)} characters {row.char_start}–{row.char_end}"
    yield f"{row.role}, {where}, {place}:"
    yield ""
    yield fenced(row.quote, info="text")
    yield ""


def _id(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


def _how_counted(finding: Finding) -> Iterator[str]:
    parts = [part or "–" for part in finding.fingerprint.parts]
    yield (
        f"How this was counted: {code_span(finding.source)}, id {finding.finding_id}"
        f" from {', '.join(code_span(part) for part in parts)}."
    )
    yield ""


def _changes(report: Report) -> Iterator[str]:
    if not (report.what_changed or report.release_diff):
        return
    yield "## What changed"
    yield ""
    for row in report.what_changed[:_MAX_LISTED]:
        owner = f" of {code_span(row.agent)}" if row.agent else ""
        since = f", since {day_and_minute(row.first_seen)}" if row.first_seen else ""
        yield f"- {row.change}: {row.kind} {code_span(row.name)}{owner} ({plural(row.traces, 'trace')}{since})"
    for diff in report.release_diff:
        yield (
            f"- {code_span(diff.metric)} from {code_span(diff.from_)} to {code_span(diff.to)}:"
            f" {release_difference(diff)}"
        )
    yield ""


def _shorter(report: Report, names: dict[str, str]) -> Iterator[str]:
    yield from _listed("Weak signals", report.weak_signals, names)
    yield from _listed("Unverified claims", report.unverified_claims, {})
    for heading, state in (("Resolved", "resolved"), ("Not seen (too little data)", "not_seen")):
        rows = [row for row in report.resolved if row.state == state]
        if rows:
            yield f"## {heading}"
            yield ""
        for row in rows:
            yield (
                f"- {row.finding_id} {markdown(row.title)}: 0 of {row.exposure:,} eligible traces;"
                f" chance of that had nothing changed: {chance(row.p_zero_if_unchanged)}"
            )
        if rows:
            yield ""


def _listed(heading: str, findings: Iterable[Finding], names: dict[str, str]) -> Iterator[str]:
    rows = list(findings)
    if not rows:
        return
    yield f"## {heading}"
    yield ""
    for finding in rows[:_MAX_LISTED]:
        name = names.get(finding.finding_id, finding.finding_id)
        yield f"- {name} {markdown(finding.title)}: {affected(finding.counts)}"
    if len(rows) > _MAX_LISTED:
        yield f"- … and {len(rows) - _MAX_LISTED} more in the JSON report"
    yield ""


def _aside(report: Report) -> Iterator[str]:
    if report.data_quality:
        yield "## Data quality"
        yield ""
        for row in report.data_quality:
            yield f"- {row.code.replace('_', ' ')}: {row.count:,} of {row.of:,}. {row.fix}"
        yield ""
    yield "## What was not looked at"
    yield ""
    for note in _not_looked_at(report):
        yield f"- {note}"
    yield ""
    if report.repro.command:
        yield "## Command to reproduce"
        yield ""
        yield fenced(one_line(report.repro.command, limit=1_000), info="sh")


def _not_looked_at(report: Report) -> Iterator[str]:
    coverage = report.coverage
    for skipped in coverage.skipped:
        yield f"{plural(skipped.count, 'trace')} skipped: {skipped.reason}"
    if coverage.quarantined_lines:
        yield f"{plural(coverage.quarantined_lines, 'line')} of the window's shards not readable"
    if report.dataset.open_traces:
        yield f"{plural(report.dataset.open_traces, 'trace')} still open: rules that need an end left them out"
    for rule in coverage.rules:
        reasons = "; ".join(f"{n.reason.replace('_', ' ')} {n.count:,}" for n in rule.not_checked)
        if rule.checked < rule.of or reasons:
            rest = f" ({reasons})" if reasons else ""
            yield f"{code_span(rule.rule)}: checked {rule.checked:,} of {rule.of:,} {rule.unit}{rest}"
    if report.traces and report.risk.text:
        yield markdown(report.risk.text)
    yield from (markdown(limit) for limit in report.limits)
