"""The steps around a finding's evidence, as bars in time."""

from collections.abc import Mapping
from typing import NamedTuple

from halo_daemon.analyzer.safe_text import one_line
from halo_daemon.findings import Finding, Report
from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace
from halo_daemon.store.trace_reader import LoadTrace

MAX_BARS = 14
_BEFORE = 3
_LABEL_CHARS = 28
_MIN_WIDTH_PERCENT = 0.6


class Bar(NamedTuple):
    """One span; places are per cent of the stretch of time that is shown."""

    label: str
    kind: str
    left: float
    width: float
    role: str
    """Role of the span in the finding's evidence; ``""`` when it is not cited."""
    is_error: bool
    duration_ms: int


class Waterfall(NamedTuple):
    """A stretch of one trace."""

    trace_id: str
    bars: tuple[Bar, ...]
    left_out: int
    """Spans of the trace that are not shown."""


def cited_traces(report: Report, load_trace: LoadTrace) -> dict[str, Trace]:
    """Load the first cited trace of every finding, each once; those that are gone are left out."""
    wanted = {finding.evidence[0].trace_id for finding in report.findings if finding.evidence}
    loaded = ((trace_id, load_trace(trace_id)) for trace_id in sorted(wanted))
    return {trace_id: trace for trace_id, trace in loaded if trace is not None}


def waterfall_of(finding: Finding, traces: Mapping[str, Trace]) -> Waterfall | None:
    """
    The spans around the first case of *finding*; None when its trace is not at hand.

    At most fourteen spans, beginning a few before the first cited one.
    """
    trace = traces.get(finding.evidence[0].trace_id) if finding.evidence else None
    if trace is None:
        return None
    roles = {row.span_id: row.role for row in finding.evidence if row.trace_id == trace.trace_id}
    spans = [span for span in trace.spans if span.span_id in roles or span.parent_span_id]
    first = next((at for at, span in enumerate(spans) if span.span_id in roles), 0)
    start = max(0, first - _BEFORE)
    shown = spans[start : start + MAX_BARS]
    begin = min(span.start_unix_ns for span in shown)
    end = max(max(span.end_unix_ns, span.start_unix_ns) for span in shown)
    length = max(1, end - begin)
    bars = tuple(_bar(span, begin, length, roles.get(span.span_id, "")) for span in shown)
    return Waterfall(trace.trace_id, bars, trace.stored_spans - len(shown))


def _bar(span: Span, begin: int, length: int, role: str) -> Bar:
    left = (span.start_unix_ns - begin) / length * 100
    width = max(_MIN_WIDTH_PERCENT, span.duration_ns / length * 100)
    return Bar(
        label=one_line(span.tool_name or span.name, limit=_LABEL_CHARS),
        kind=span.observation_kind,
        left=round(min(left, 100 - _MIN_WIDTH_PERCENT), 2),
        width=round(min(width, 100 - min(left, 100 - _MIN_WIDTH_PERCENT)), 2),
        role=role,
        is_error=span.has_error_status,
        duration_ms=span.duration_ns // 1_000_000,
    )
