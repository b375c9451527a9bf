"""Slow findings, with what the slow runs waited for."""

from collections.abc import Collection, Iterable, Iterator

from halo_daemon.analyzer.critical_path import Carried, carriers_of, mean_carriers
from halo_daemon.analyzer.figures import percent, plural
from halo_daemon.analyzer.masking import mask_name
from halo_daemon.analyzer.outliers import SLOW_RUN
from halo_daemon.analyzer.safe_text import in_ticks
from halo_daemon.findings import Evidence, Finding, RootCause
from halo_daemon.proto.trace import Trace
from halo_daemon.store.trace_reader import LoadTrace

_SLOW = frozenset({"slow", SLOW_RUN})
_MAX_TRACES = 20
"""Traces of one finding whose paths are looked at."""
_SHOWN = 4
_LEAST_SHARE = 0.05
_KINDS = {"LLM": "model call", "TOOL": "tool"}


def with_critical_paths(
    findings: Iterable[Finding], named: dict[str, Collection[str]], load_trace: LoadTrace
) -> Iterator[Finding]:
    """
    *findings*; slow ones say what carries the critical path of the traces in *named*, by id.

    A slow run is shown by the spans that carry most of its path. Traces that are gone
    are left out; a finding none of whose traces is there stays as it is.
    """
    for finding in findings:
        if finding.fingerprint.parts[0] not in _SLOW:
            yield finding
            continue
        trace_ids = sorted(named.get(finding.finding_id, ()))[:_MAX_TRACES]
        traces = [trace for trace in map(load_trace, trace_ids) if trace is not None]
        yield _explained(finding, traces) if traces else finding


def _explained(finding: Finding, traces: list[Trace]) -> Finding:
    rows = mean_carriers(traces)
    text = _sentence(rows, len(traces))
    rule, subject = finding.fingerprint.parts[0], finding.fingerprint.parts[2]
    if rule == SLOW_RUN:
        shown = {row.trace_id: row for row in finding.evidence}
        carried = [
            Evidence(trace_id=trace.trace_id, span_id=span_id, role="symptom")
            for trace in traces
            if trace.trace_id in shown
            for span_id in _largest(trace)
        ]
        cause = RootCause(state="hypothesis", text=text)
        return finding.model_copy(update={"root_cause": cause, "evidence": (*carried,)})
    own = sum(row.share for row in rows if row.name == subject)
    text = f"It is {percent(own)} of the critical path of these runs. {text}"
    return finding.model_copy(update={"root_cause": RootCause(state="hypothesis", text=text)})


def _largest(trace: Trace) -> list[str]:
    """The span that carries most of the path; the root where no span was at work for longest."""
    best = next((row for row in carriers_of(trace) if row.span_id), None)
    return [best.span_id] if best else []


def _sentence(rows: tuple[Carried, ...], traces: int) -> str:
    large = [row for row in rows if row.share >= _LEAST_SHARE][:_SHOWN] or list(rows[:1])
    parts = ", ".join(f"{_what(row)} {percent(row.share)}" for row in large)
    return f"Critical path, mean of {plural(traces, 'slow run')}: {parts}."


def _what(row: Carried) -> str:
    if not row.name:
        return "no recorded work"
    kind = _KINDS.get(row.kind, "step")
    return f"{kind} {in_ticks(mask_name(row.name), limit=60)} ({plural(row.spans, 'span')})"
