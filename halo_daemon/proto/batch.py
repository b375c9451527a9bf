"""What a decoder hands over: canonical lines by project, and what it refused."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from halo_daemon.proto.json_value import Attributes
from halo_daemon.proto.project import Project

ProjectOf = Callable[[Attributes], Project]
"""Resource attributes to project; called once for each resource of a request."""


class SpanBatch(NamedTuple):
    """
    The spans of one project from one request, as they will stand on disk.

    ``lines`` holds ``spans`` canonical lines, each ended by one newline, in the
    order of the request; never empty, and not changed any more.
    """

    project: Project
    lines: bytes | bytearray
    spans: int


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What one request may hold; the breach of any is a `LimitError` or a `DecodeError`."""

    max_spans: int = 50_000
    """Spans in one request, summed over all resources (`receivers.max_spans_per_request`)."""

    max_depth: int = 31
    """Nesting of attribute values, the same for protobuf and JSON."""


@dataclass(frozen=True, slots=True)
class DecodedRequest:
    """One export request, decoded; good spans are never held up by bad ones."""

    batches: tuple[SpanBatch, ...] = ()
    """One for each project that has a good span, in order of first appearance."""

    received_spans: int = 0
    """Spans in the request, good and bad."""

    rejected: dict[str, int] = field(default_factory=dict)
    """Refused spans by reason code, such as ``invalid_trace_id``; empty when all are good."""

    error_message: str = ""
    """Counts by reason and the name of the first bad span, at most 1 KiB; may also be a
    warning about a request none of whose spans was refused; ``""`` when all is well."""

    warnings: dict[str, int] = field(default_factory=dict)
    """Oddities that were repaired or passed over, by code, for the counters; empty when
    there was none."""

    @property
    def rejected_spans(self) -> int:
        """How many spans were refused."""
        return sum(self.rejected.values())
