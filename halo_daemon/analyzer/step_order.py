"""What came before what among the steps of a trace, by their times."""

from bisect import bisect_left
from collections.abc import Sequence

from halo_daemon.proto.span import LLM, Span


class StepOrder:
    """
    LLM and TOOL spans in the order in which they began.

    Args:
        steps: In order of start.
    """

    def __init__(self, steps: Sequence[Span]) -> None:
        self._calls = [span for span in steps if span.observation_kind == LLM]
        self._starts = [span.start_unix_ns for span in steps]
        self._call_starts = [span.start_unix_ns for span in self._calls]
        self._call_ends = sorted(
            [
                (span.end_unix_ns, span.start_unix_ns, span.span_id, place)
                for place, span in enumerate(self._calls)
                if span.end_unix_ns > 0
            ]
        )

    def decision_of(self, span: Span) -> Span | None:
        """The last LLM span that ended before *span* did (before it began, when it has no end)."""
        moment = span.end_unix_ns if span.is_complete else span.start_unix_ns
        ends = self._call_ends
        at = bisect_left(ends, (moment,)) - 1
        # A call and the tool it starts may carry one and the same rounded time.
        while at + 1 < len(ends) and self._is_zero_length_caller(at + 1, span, moment):
            at += 1
        return self._calls[ends[at][3]] if at >= 0 else None

    def _is_zero_length_caller(self, at: int, span: Span, moment: int) -> bool:
        end, start, span_id, _ = self._call_ends[at]
        return end == moment and start < span.start_unix_ns and span_id != span.span_id

    def following_call(self, span: Span) -> Span | None:
        """The first LLM span that began after *span* ended; None when there is none."""
        at = self.turn_at(max(span.end_unix_ns, span.start_unix_ns))
        return self._calls[at] if at < len(self._calls) else None

    def turn_at(self, unix_ns: int) -> int:
        """How many LLM spans had begun before that time."""
        return bisect_left(self._call_starts, unix_ns)

    def step_at(self, unix_ns: int) -> int:
        """How many steps had begun before that time: the place of a step that begins then."""
        return bisect_left(self._starts, unix_ns)
