"""What each rule adds on labelled traces: spans that it blames, and runs that it marks."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from halo_daemon.findings import Report

_SpanKey = tuple[str, str]


class Score(NamedTuple):
    """Precision, recall and their harmonic mean; all 0 where nothing was hit."""

    precision: float
    recall: float
    f1: float


def score_of(claimed: set[_SpanKey], labelled: set[_SpanKey]) -> Score:
    """How *claimed* does against *labelled*."""
    hits = len(claimed & labelled)
    if not hits:
        return Score(0.0, 0.0, 0.0)
    precision, recall = hits / len(claimed), hits / len(labelled)
    return Score(precision, recall, 2 * precision * recall / (precision + recall))


def rule_rows(report: Report, labels: Path) -> Iterator[str]:
    """
    Lines on every rule that found something, for the kind of labels the set has.

    Span labels: what the rule's spans hit, alone, and what the rest reach without
    them. Outcomes: how many of the marked runs failed, and of the failed were marked.
    """
    rows = [json.loads(line) for line in labels.read_text().splitlines()]
    if any("errors" in row for row in rows):
        yield from _span_rows(_blamed(report), rows)
    elif len({row.get("failed") for row in rows} - {None}) > 1:
        yield from _run_rows(report, {row["trace_id"]: row["failed"] for row in rows})


def _rules(report: Report) -> dict[str, str]:
    found = (*report.findings, *report.weak_signals)
    return {row.finding_id: row.source.removeprefix("rule:") for row in found}


def _blamed(report: Report) -> dict[str, set[_SpanKey]]:
    rules = _rules(report)
    blamed: dict[str, set[_SpanKey]] = {}
    for row in report.traces:
        for cited in row.evidence:
            if cited.role in {"decision", "symptom"}:
                rule = rules.get(cited.finding_id, "not listed")
                blamed.setdefault(rule, set()).add((row.trace_id, cited.span_id))
    return blamed


def _span_rows(blamed: Mapping[str, set[_SpanKey]], rows: list[dict[str, object]]) -> Iterator[str]:
    labelled = {
        (str(row["trace_id"]), error["span_id"])
        for row in rows
        for error in _errors(row)
        if error["span_id"]
    }
    every: set[_SpanKey] = set().union(*blamed.values())
    yield f"  {'blamed by rule':<26}{'hits':>10}{'precision':>11}{'F1 alone':>10}{'F1 without':>12}"
    for rule, spans in sorted(blamed.items()):
        rest: set[_SpanKey] = set().union(*(s for name, s in blamed.items() if name != rule))
        alone, without = score_of(spans, labelled), score_of(rest, labelled)
        hits = f"{len(spans & labelled)} of {len(spans)}"
        yield f"  {rule:<26}{hits:>10}{alone.precision:>11.3f}{alone.f1:>10.3f}{without.f1:>12.3f}"
    total = score_of(every, labelled)
    hits = f"{len(every & labelled)} of {len(every)}"
    yield f"  {'all':<26}{hits:>10}{total.precision:>11.3f}{total.f1:>10.3f}"


def _errors(row: dict[str, object]) -> list[dict[str, str]]:
    errors = row.get("errors")
    return errors if isinstance(errors, list) else []


def _run_rows(report: Report, failed: Mapping[str, bool]) -> Iterator[str]:
    rules = _rules(report)
    marked: dict[str, set[str]] = {}
    for row in report.traces:
        for finding_id in row.findings:
            marked.setdefault(rules.get(finding_id, "not listed"), set()).add(row.trace_id)
    failures = sum(failed.values())
    yield f"  {'runs marked by rule':<26}{'failed':>10}{'precision':>11}{'recall':>8}"
    for rule, traces in sorted(marked.items()):
        bad = sum(failed.get(trace_id, False) for trace_id in traces)
        shares = f"{bad / len(traces):>11.3f}{bad / failures:>8.3f}"
        yield f"  {rule:<26}{f'{bad} of {len(traces)}':>10}{shares}"
    yield f"  {'every run':<26}{f'{failures} of {len(failed)}':>10}{failures / len(failed):>11.3f}"
