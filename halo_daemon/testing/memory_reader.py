"""A reader that knows every span and counts by hand: the oracle of the contract suite."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from halo_daemon.errors import QueryError
from halo_daemon.proto.semconv import facts_of, with_events_joined
from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Cut, Trace
from halo_daemon.store.trace_reader import (
    MAX_ANSWER_BYTES,
    SPAN_BYTES,
    WHOLE,
    Overview,
    Share,
    TraceSummary,
    Window,
    WindowBy,
)

_NANOS = 10**9


class MemoryReader:
    """
    A `TraceReader` over spans in memory; slow and plain on purpose.

    Args:
        settle_s: For how long after its last span an unfinished trace counts as open.

        now_unix_ns: Wall clock, to tell open traces.

        max_answer_bytes: What one answer holds.
    """

    def __init__(
        self,
        *,
        settle_s: float = 0.0,
        now_unix_ns: Callable[[], int] = lambda: 2**63 - 1,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        self._arrivals: dict[str, list[tuple[int, Span]]] = {}
        self._bad_lines: list[int] = []
        self._settle_ns = int(settle_s * _NANOS)
        self._now_unix_ns = now_unix_ns
        self._max_answer_bytes = max_answer_bytes

    def add(self, span: Span, *, received_unix_ns: int) -> None:
        """Add one delivery, in order of arrival."""
        self._arrivals.setdefault(span.trace_id, []).append((received_unix_ns, span))

    def add_bad_line(self, *, received_unix_ns: int) -> None:
        """Count one line that is no span."""
        self._bad_lines.append(received_unix_ns)

    def overview(self, window: Window) -> Overview:
        """Count what *window* holds."""
        traces = list(self._traces_in(window))
        spans = [span for trace in traces for span in trace.spans]
        usage = [facts_of(trace).usage for trace in traces]
        services, models, tools, agents, left_out_names = self._fitting(
            _distinct(span.service_name for span in spans),
            _distinct(span.model for span in spans),
            _distinct(span.tool_name for span in spans),
            _distinct(span.agent_name for span in spans),
        )
        return Overview(
            traces=len(traces),
            spans=len(spans),
            duplicate_spans=sum(trace.duplicate_spans for trace in traces),
            error_traces=sum(
                any(span.has_error_status for span in trace.spans) for trace in traces
            ),
            input_tokens=sum(used.input_tokens for used in usage),
            output_tokens=sum(used.output_tokens for used in usage),
            services=services,
            models=models,
            tools=tools,
            agents=agents,
            left_out_names=left_out_names,
            quarantined_lines=sum(
                window.by is WindowBy.START or _is_between(window, received)
                for received in self._bad_lines
            ),
        )

    def list_traces(
        self, window: Window, *, limit: int = 50, offset: int = 0
    ) -> list[TraceSummary]:
        """List traces, the one that started last first, ties by trace id."""
        summaries = [self._summary(trace) for trace in self._traces_in(window)]
        summaries.sort(key=lambda summary: (-summary.start_unix_ns, summary.trace_id))
        page = summaries[offset : offset + limit]
        while len(page) > 1 and sum(one.size_bytes for one in page) > self._max_answer_bytes:
            page.pop()
        return page

    def load_trace(self, trace_id: str, *, after: str = "") -> Trace | None:
        """Load a trace or the part of it behind *after*; None when there is no span of it."""
        trace = self._whole(trace_id)
        return trace and self._part(trace, after)

    def iter_traces(self, window: Window, *, share: Share = WHOLE) -> Iterator[Trace]:
        """Load every trace of *window*, in ascending order of trace id."""
        for trace in self._traces_in(window, share):
            part = self._part(trace, "")
            assert part is not None, "a trace has a span"
            yield part

    def _part(self, trace: Trace, after: str) -> Trace | None:
        ids = [span.span_id for span in trace.spans]
        if after and after not in ids:
            raise QueryError(f"no span {after}")
        rest = trace.spans[ids.index(after) + 1 :] if after else trace.spans
        if not rest:
            return None
        shown = rest
        while (
            len(shown) > 1 and _line_bytes(shown) + len(shown) * SPAN_BYTES > self._max_answer_bytes
        ):
            shown = shown[:-1]
        left = rest[len(shown) :]
        cut = Cut(len(left), _line_bytes(left), shown[-1].span_id) if left else None
        joined = tuple(with_events_joined(shown))
        return Trace(trace.trace_id, joined, trace.duplicate_spans, trace.is_open, cut)

    def _fitting(self, *lists: tuple[str, ...]) -> tuple[Any, ...]:
        """Names in order as long as they fit, and how many do not."""
        left_bytes, left_out = self._max_answer_bytes, 0
        fitting: list[Any] = []
        for names in lists:
            kept = []
            for name in names:
                left_bytes -= len(name.encode("utf-8", "replace"))
                if left_bytes < 0:
                    left_out += 1
                else:
                    kept.append(name)
            fitting.append(tuple(kept))
        return (*fitting, left_out)

    def _whole(self, trace_id: str) -> Trace | None:
        arrivals = self._arrivals.get(trace_id)
        if not arrivals:
            return None
        in_order = sorted(arrivals, key=lambda arrival: arrival[0])
        trace = Trace.merge(span for _, span in in_order)
        is_quiet = self._now_unix_ns() - in_order[-1][0] >= self._settle_ns
        has_ended = any(span.is_complete and not span.parent_span_id for span in trace.spans)
        return Trace(
            trace_id, trace.spans, trace.duplicate_spans, is_open=not (is_quiet or has_ended)
        )

    def _traces_in(self, window: Window, share: Share = WHOLE) -> Iterator[Trace]:
        for trace_id in filter(share.has, sorted(self._arrivals)):
            trace = self._whole(trace_id)
            assert trace is not None
            moments = (
                [span.start_unix_ns for span in trace.spans]
                if window.by is WindowBy.START
                else [received for received, _ in self._arrivals[trace_id]]
            )
            if any(_is_between(window, moment) for moment in moments):
                yield trace

    def _summary(self, trace: Trace) -> TraceSummary:
        root = trace.roots[0] if trace.roots else None
        facts = facts_of(trace)
        usage = facts.usage
        return TraceSummary(
            trace_id=trace.trace_id,
            root_name=root.name if root else "",
            service_name=(root or trace.spans[0]).service_name,
            start_unix_ns=trace.start_unix_ns,
            end_unix_ns=trace.end_unix_ns,
            last_received_unix_ns=max(received for received, _ in self._arrivals[trace.trace_id]),
            spans=len(trace.spans),
            error_spans=sum(span.has_error_status for span in trace.spans),
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            session_id=facts.session_id,
        )


def _line_bytes(spans: Iterable[Span]) -> int:
    return sum(len(span.to_line()) - 1 for span in spans)


def _is_between(window: Window, unix_ns: int) -> bool:
    return window.from_unix_ns <= unix_ns < window.to_unix_ns


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({value for value in values if value}))
