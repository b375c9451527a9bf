"""A sink that keeps what it is given."""

from collections.abc import Sequence

from halo_daemon.errors import IngestError, ShuttingDownError
from halo_daemon.proto.batch import SpanBatch
from halo_daemon.proto.span import Span


class MemorySink:
    """
    A `SpanSink` in memory; nothing survives the process.

    Attributes:
        batches: Everything accepted, in order.
        failures: Errors to raise, one for each call, before anything is kept.
    """

    def __init__(self) -> None:
        self.batches: list[SpanBatch] = []
        self.failures: list[IngestError] = []
        self._is_closed = False

    async def accept(self, batches: Sequence[SpanBatch]) -> None:
        """Keep *batches*, or raise the next planned failure."""
        if self._is_closed:
            raise ShuttingDownError("cannot store spans: the sink is closed")
        if self.failures:
            raise self.failures.pop(0)
        self.batches.extend(batches)

    async def aclose(self) -> None:
        """Take nothing more."""
        self._is_closed = True

    def lines(self, slug: str) -> bytes:
        """All lines of one project, in order of arrival."""
        return b"".join(batch.lines for batch in self.batches if batch.project.slug == slug)

    def spans(self, slug: str) -> list[Span]:
        """All spans of one project, in order of arrival, re-deliveries included."""
        return [Span.from_line(line) for line in self.lines(slug).split(b"\n") if line]
