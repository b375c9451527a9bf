"""The report as JUnit XML: a suite for the project, a case for each rule."""

import re
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from halo_daemon.analyzer.figures import affected
from halo_daemon.analyzer.gate import is_at_gate
from halo_daemon.analyzer.safe_text import clean, one_line
from halo_daemon.findings import CoverageRule, Finding, Report, Severity

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(report: Report, *, fail_on: Severity = "high") -> bytes:
    """
    Write one test suite; a rule with a finding at or above *fail_on* is a failed case.

    A rule that checked nothing is skipped with its reason, one that crashed is an error.
    """
    found: dict[str, list[Finding]] = {rule.rule: [] for rule in report.coverage.rules}
    for finding in report.findings:
        found.setdefault(finding.source.removeprefix("rule:"), []).append(finding)
    by_rule = {rule.rule: rule for rule in report.coverage.rules}
    cases = [
        _Case(
            project=report.project,
            name=name,
            failing=[finding for finding in found[name] if is_at_gate(finding, fail_on)],
            rule=by_rule.get(name),
        )
        for name in sorted(found)
    ]
    totals = {
        kind: sum(case.kind == kind for case in cases) for kind in ("failure", "error", "skipped")
    }
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        (
            f'<testsuites><testsuite name={_attribute(report.project)} tests="{len(cases)}"'
            f' failures="{totals["failure"]}" errors="{totals["error"]}"'
            f' skipped="{totals["skipped"]}" timestamp={_attribute(report.created_at[:19])}>'
        ),
        *(case.to_xml() for case in cases),
        "</testsuite></testsuites>",
    ]
    return ("\n".join(lines) + "\n").encode()


def _attribute(text: str) -> str:
    return quoteattr(_NOT_XML.sub("", one_line(text)))


def _body(text: str) -> str:
    return escape(_NOT_XML.sub("", clean(text)))


class _Case(NamedTuple):
    """One rule, and what became of it."""

    project: str
    name: str
    failing: list[Finding]
    rule: CoverageRule | None

    @property
    def kind(self) -> str:
        """``failure``, ``error``, ``skipped`` or ``passed``."""
        if self.failing:
            return "failure"
        if self.rule is None:
            return "passed"
        if any(row.reason == "rule_failed" for row in self.rule.not_checked):
            return "error"
        return "skipped" if self.rule.of and not self.rule.checked else "passed"

    def to_xml(self) -> str:
        """The element of the case."""
        opened = f"<testcase classname={_attribute(self.project)} name={_attribute(self.name)}"
        if self.kind == "passed":
            return opened + "/>"
        return f"{opened}>{self._inside()}</testcase>"

    def _inside(self) -> str:
        if self.kind == "failure":
            text = "\n".join(
                f"{f.finding_id} {f.severity} {f.title}: {affected(f.counts)}" for f in self.failing
            )
            return f"<failure message={_attribute(self.failing[0].title)}>{_body(text)}</failure>"
        rows = self.rule.not_checked if self.rule else ()
        reasons = ", ".join(f"{row.reason} {row.count}" for row in rows)
        return f"<{self.kind} message={_attribute(reasons or 'nothing to check')}/>"
