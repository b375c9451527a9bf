"""
Logs and metrics.

Log events of coding agents and models become spans. All other records are accepted and
dropped, and the sender is told so: an SDK exports all signals to one endpoint unless
told otherwise, and an error would make it retry, or log failures, for ever.
"""

from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

from halo_daemon.proto.batch import DecodeLimits
from halo_daemon.proto.otlp_logs import LogSpans, spans_of_json_logs, spans_of_logs
from halo_daemon.proto.otlp_records import count_data_points, count_data_points_json
from halo_daemon.proto.otlp_response import (
    Answer,
    export_logs_response,
    export_metrics_response,
)
from halo_daemon.receiver.counters import Transport
from halo_daemon.receiver.encoding import Encoding
from halo_daemon.receiver.ingest import Received, TraceIngest
from halo_daemon.receiver.intake import Slot

_THREAD_FROM_BYTES: Final = 128 * 1024
"""Events cost several times what spans of that size cost."""


class Signal(StrEnum):
    """A signal besides traces."""

    LOGS = "logs"
    METRICS = "metrics"


def _metrics(body: bytes, limits: DecodeLimits) -> LogSpans:
    return LogSpans(b"", 0, count_data_points(body, limits))


def _json_metrics(body: bytes, limits: DecodeLimits) -> LogSpans:
    return LogSpans(b"", 0, count_data_points_json(body, limits))


class _Reader(NamedTuple):
    """How one signal's requests are read and answered."""

    read_in: dict[Encoding, Callable[[bytes, DecodeLimits], LogSpans]]
    respond: Callable[[int, str], Answer]
    refusal: str


_READERS: Final = {
    Signal.LOGS: _Reader(
        {Encoding.PROTOBUF: spans_of_logs, Encoding.JSON: spans_of_json_logs},
        export_logs_response,
        "log lines are not stored, only events of agents and models and exceptions of spans "
        "are; where none of these are sent, set OTEL_LOGS_EXPORTER=none",
    ),
    Signal.METRICS: _Reader(
        {Encoding.PROTOBUF: _metrics, Encoding.JSON: _json_metrics},
        export_metrics_response,
        "metrics are not stored, only traces are; "
        "set OTEL_METRICS_EXPORTER=none to stop sending them",
    ),
}


class OtherSignals:
    """
    Answers requests of other signals.

    Args:
        ingest: Where the spans made of log events go.
        limits: What one request may hold.

    Attributes:
        dropped: Records dropped, by signal.
    """

    def __init__(self, ingest: TraceIngest, *, limits: DecodeLimits) -> None:
        self._ingest = ingest
        self._limits = limits
        self.dropped: Counter[Signal] = Counter()

    async def export(
        self, received: Received, slot: Slot, signal: Signal, *, transport: Transport
    ) -> Answer:
        """
        Store what can be stored of one request, and say what was dropped.

        Raises:
            IngestError: The request cannot be read, or its spans cannot be stored now.
        """
        reader = _READERS[signal]
        async with slot.work():
            read = reader.read_in[received.encoding]
            found = await self._ingest.read(
                received,
                lambda body: read(body, self._limits),
                thread_from_bytes=_THREAD_FROM_BYTES,
            )
        if found.request:
            spans = received._replace(
                body=found.request, encoding=Encoding.JSON, content_encoding=""
            )
            await self._ingest.export(spans, slot, transport=transport)
        self.dropped[signal] += found.others
        return reader.respond(found.others, reader.refusal if found.others else "")
