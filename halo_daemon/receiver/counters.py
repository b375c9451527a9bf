"""
What came in and what became of it.

For each transport: ``received = accepted + refused + failed``, in spans. A request
that could not be decoded holds an unknown number of spans; it is counted as a request.
Plain integers, changed on the event loop only.
"""

import re
from asyncio import CancelledError
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

_WORD_START: Final = re.compile(r"(?<!^)(?=[A-Z])")


class Transport(StrEnum):
    """How a request came in."""

    GRPC = "grpc"
    HTTP = "http"


@dataclass(slots=True)
class TransportCounts:
    """The counts of one transport since the start."""

    requests: int = 0
    """Requests answered, whatever the answer."""

    received_bytes: int = 0
    """Bytes of bodies as they came over the wire."""

    received: int = 0
    """Spans in requests that could be decoded."""

    accepted: int = 0
    """Spans stored."""

    refused: Counter[str] = field(default_factory=Counter)
    """Spans refused in ``partial_success``, by reason."""

    failed: Counter[str] = field(default_factory=Counter)
    """Spans of requests that were not stored, by reason; the sender was told."""

    failed_requests: Counter[str] = field(default_factory=Counter)
    """Requests answered with an error, by reason."""

    warnings: Counter[str] = field(default_factory=Counter)
    """Oddities repaired or passed over, by code."""

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count one request, and what ends it when that is an exception."""
        self.requests += 1
        try:
            yield
        except BaseException as exc:
            self.failed_requests[reason_of(exc)] += 1
            raise


@dataclass(slots=True)
class IngestCounters:
    """The counts of a receiver."""

    grpc: TransportCounts = field(default_factory=TransportCounts)
    http: TransportCounts = field(default_factory=TransportCounts)

    def of(self, transport: Transport) -> TransportCounts:
        """The counts of *transport*."""
        return self.grpc if transport is Transport.GRPC else self.http


def reason_of(error: BaseException) -> str:
    """The error's class in snake case, for counters and logs: ``storage_unavailable``."""
    if isinstance(error, CancelledError):
        return "cancelled"
    name = type(error).__name__.removesuffix("Error")
    return _WORD_START.sub("_", name).lower()
