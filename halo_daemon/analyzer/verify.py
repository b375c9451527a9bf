"""Evidence is looked up: a quote counts only where its words stand in the span that it names."""

from collections.abc import Iterable

from halo_daemon.analyzer.named_text import value_at
from halo_daemon.findings import MAX_QUOTE_CHARS, Evidence, Finding
from halo_daemon.proto.redact import Redacted, redact_text
from halo_daemon.proto.span import Span
from halo_daemon.store.trace_reader import LoadTrace, trace_parts


def is_quoted(span: Span, evidence: Evidence) -> bool:
    """Whether the quote stands in *span* at the very place that *evidence* gives."""
    if not evidence.attribute:
        return not evidence.quote
    value = value_at(span, evidence.attribute)
    return (
        value is not None
        and evidence.char_end - evidence.char_start == len(evidence.quote)
        and value[evidence.char_start : evidence.char_end] == evidence.quote
    )


def verify_findings(findings: Iterable[Finding], load_trace: LoadTrace) -> list[Finding]:
    """
    Look every quote up in its span, in the order of *findings*.

    Each cited trace is read once, a large one in parts. A finding is verified when it has evidence and
    every quote of it was found.
    """
    pending = list(findings)
    wanted = sorted({row.trace_id for finding in pending for row in finding.evidence})
    found: dict[tuple[str, str], list[Evidence]] = {}
    for finding in pending:
        for row in finding.evidence:
            found.setdefault((row.trace_id, row.span_id), []).append(row)
    verified: set[int] = set()
    for trace_id in wanted:
        for span in (span for part in trace_parts(load_trace, trace_id) for span in part.spans):
            rows = found.get((trace_id, span.span_id), ())
            verified |= {id(row) for row in rows if is_quoted(span, row)}
    return [_marked(finding, verified) for finding in pending]


def _marked(finding: Finding, verified: set[int]) -> Finding:
    evidence = tuple(
        row.model_copy(update={"quote_verified": id(row) in verified}) for row in finding.evidence
    )
    holds = bool(evidence) and all(row.quote_verified for row in evidence)
    return finding.model_copy(update={"evidence": evidence, "verified": holds})


def without_secrets(findings: Iterable[Finding]) -> tuple[list[Finding], int]:
    """
    Mask what looks like a secret in titles, fingerprints and quotes, and count it.

    For quotes that were verified already: their range of characters stays that of
    the recorded value.
    """
    cleaned: list[Finding] = []
    total = 0
    for finding in findings:
        title = redact_text(finding.title)
        parts = [redact_text(part) for part in finding.fingerprint.parts]
        quotes = [redact_text(row.quote) for row in finding.evidence]
        masked = sum(text.values for text in (title, *parts, *quotes))
        total += masked
        cleaned.append(_masked(finding, title, parts, quotes) if masked else finding)
    return cleaned, total


def _masked(
    finding: Finding, title: Redacted, parts: list[Redacted], quotes: list[Redacted]
) -> Finding:
    rows = tuple(
        row.model_copy(update={"quote": quote.text[:MAX_QUOTE_CHARS]})
        for row, quote in zip(finding.evidence, quotes, strict=True)
    )
    update = {"parts": tuple(part.text for part in parts)}
    fingerprint = finding.fingerprint.model_copy(update=update)
    return finding.model_copy(
        update={"title": title.text, "fingerprint": fingerprint, "evidence": rows}
    )
