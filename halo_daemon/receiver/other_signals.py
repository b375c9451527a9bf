"""
Logs and metrics: accepted and dropped, and the sender is told so.

An SDK exports all signals to one endpoint unless told otherwise. An error would make it
retry, or log failures, for ever; a partial success says once what to change.
"""

from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

from halo_daemon.proto import otlp_records as records
from halo_daemon.proto.otlp_response import (
    Answer,
    export_logs_response,
    export_metrics_response,
)
from halo_daemon.receiver.encoding import Encoding


class Signal(StrEnum):
    """A signal besides traces."""

    LOGS = "logs"
    METRICS = "metrics"


class _Reader(NamedTuple):
    """How one signal's requests are counted and answered."""

    count_in: dict[Encoding, Callable[[bytes], int]]
    respond: Callable[[int, str], Answer]
    variable: str


_READERS: Final = {
    Signal.LOGS: _Reader(
        {
            Encoding.PROTOBUF: records.count_log_records,
            Encoding.JSON: records.count_log_records_json,
        },
        export_logs_response,
        "OTEL_LOGS_EXPORTER",
    ),
    Signal.METRICS: _Reader(
        {
            Encoding.PROTOBUF: records.count_data_points,
            Encoding.JSON: records.count_data_points_json,
        },
        export_metrics_response,
        "OTEL_METRICS_EXPORTER",
    ),
}


class OtherSignals:
    """
    Answers requests of other signals.

    Attributes:
        dropped: Records dropped, by signal.
    """

    def __init__(self) -> None:
        self.dropped: Counter[Signal] = Counter()

    def answer(self, body: bytes, encoding: Encoding, signal: Signal) -> bytes:
        """
        The answer to one export request, decompressed.

        Raises:
            DecodeError: *body* is not such a request.
        """
        reader = _READERS[signal]
        count = reader.count_in[encoding](body)
        self.dropped[signal] += count
        if not count:
            return encoding.of(reader.respond(0, ""))
        message = (
            f"{signal} are not stored, only traces are; "
            f"set {reader.variable}=none to stop sending them"
        )
        return encoding.of(reader.respond(count, message))
