"""The report as SARIF 2.1.0, for code hosts that show analysis results."""

import orjson

from halo_daemon import __version__
from halo_daemon.analyzer.figures import affected
from halo_daemon.analyzer.safe_text import one_line
from halo_daemon.findings import CoverageRule, Finding, FindingState, Report, Severity
from halo_daemon.proto.json_value import JsonObject, JsonValue

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: dict[Severity, str] = {
    "critical": "error",
    "high": "error",
    "medium": "warning",
    "low": "note",
    "info": "note",
}
_BASELINE_STATES: dict[FindingState, str] = {
    "new": "new",
    "ongoing": "unchanged",
    "not_seen": "unchanged",
    "regressed": "updated",
    "reopened": "updated",
    "resolved": "absent",
}
_REPORT_PATH = "halo/report.md"
"""The same in every run: an alert whose place moves is closed and opened anew."""


def render_sarif(report: Report) -> bytes:
    """Write one SARIF log with one run; ends with a newline."""
    sources = sorted({finding.source for finding in report.findings})
    run: JsonObject = {
        "tool": {
            "driver": {
                "name": "halo-daemon",
                "version": __version__,
                "rules": [_rule(report, source) for source in sources],
            }
        },
        "invocations": [_invocation(report)],
        "results": [
            *(_result(finding, sources.index(finding.source)) for finding in report.findings),
            *_absent(report),
        ],
        "columnKind": "unicodeCodePoints",
    }
    log: JsonObject = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return orjson.dumps(log, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _rule(report: Report, source: str) -> JsonObject:
    example = next(finding for finding in report.findings if finding.source == source)
    name = source.removeprefix("rule:").partition("@")[0]
    return {
        "id": source,
        "name": name,
        "shortDescription": {"text": name.replace("_", " ")},
        "help": {
            "text": one_line(example.recommendation.text, limit=1_000) or name.replace("_", " ")
        },
        "properties": {"category": example.category},
    }


def _invocation(report: Report) -> JsonObject:
    return {
        "executionSuccessful": report.engine.status != "failed",
        "startTimeUtc": report.run.started_at,
        "toolExecutionNotifications": [
            _notification(rule) for rule in report.coverage.rules if rule.not_checked
        ],
    }


def _notification(rule: CoverageRule) -> JsonObject:
    reasons = ", ".join(f"{row.reason} {row.count}" for row in rule.not_checked)
    return {
        "level": "note",
        "message": {
            "text": f"{rule.rule}: checked {rule.checked} of {rule.of} {rule.unit}; {reasons}"
        },
        "associatedRule": {"id": f"rule:{rule.rule}"},
    }


def _result(finding: Finding, rule_index: int) -> JsonObject:
    title = one_line(finding.title.replace("`", "'"), limit=500)
    result: JsonObject = {
        "ruleId": finding.source,
        "ruleIndex": rule_index,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{title}: {affected(finding.counts)} eligible traces"},
        "locations": [_location()],
        "partialFingerprints": {"haloFinding/v1": finding.finding_id},
        # A result that is here is not absent, though what shows it is older than its fix.
        "baselineState": "unchanged"
        if finding.state == "resolved"
        else _BASELINE_STATES[finding.state],
        "properties": {
            "severity": finding.severity,
            "certainty": finding.certainty,
            "category": finding.category,
            "confidence": finding.confidence,
            "escalating": finding.escalating,
        },
    }
    if finding.triage.state in {"muted", "false_positive"}:
        result["suppressions"] = [
            {"kind": "external", "justification": one_line(finding.triage.note, limit=500)}
        ]
    return result


def _location() -> JsonObject:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": _REPORT_PATH},
            "region": {"startLine": 1},
        }
    }


def _absent(report: Report) -> list[JsonValue]:
    return [
        {
            "ruleId": "rule:known",
            "level": "none",
            "kind": "pass",
            "message": {"text": one_line(row.title.replace("`", "'"), limit=500) or "known"},
            "locations": [_location()],
            "partialFingerprints": {"haloFinding/v1": row.finding_id},
            "baselineState": _BASELINE_STATES[row.state],
        }
        for row in report.resolved
    ]
