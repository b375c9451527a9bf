"""What a decoder hands over: canonical lines by project, and what it refused."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from halo_daemon.errors import LimitError
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


MESSAGE_PARTS: Final = 4
"""What a resource, scope, event or link counts for: it has fields of its own to read."""


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What one request may hold; the breach of any is a `LimitError` or a `DecodeError`."""

    max_spans: int = 50_000
    """Spans in one request, summed over all resources (`receivers.max_spans_per_request`)."""

    max_parts: int = 1_000_000
    """Attributes and values in lists, and `MESSAGE_PARTS` for each resource, scope, event and
    link, summed over the whole request (`receivers.max_parts_per_request`)."""

    max_items: int = 100_000
    """Attributes, events and links, of each, that one span may have, and attributes that one
    event, link, resource or scope may have (`receivers.max_items_per_span`). No breach: the
    surplus is dropped and counted on the line."""

    max_line_bytes: int = 256 * 1024**2
    """Bytes of all lines made of one request (`storage.max_pending`)."""

    max_depth: int = 31
    """Nesting of attribute values, the same for protobuf and JSON."""


def too_many_spans(max_spans: int, *, spans: int | None = None) -> LimitError:
    """The refusal of a request with *spans* spans, or, with None, with more than it may have."""
    return LimitError(
        f"cannot take {spans or f'more than {max_spans}'} spans in one request: the limit is "
        f"{max_spans} (`receivers.max_spans_per_request`)",
        hint="export smaller batches, or raise the limit",
    )


def too_many_parts(max_parts: int) -> LimitError:
    """The refusal of a request with more parts than it may have."""
    return LimitError(
        f"cannot take more than {max_parts} resources, scopes, attributes, events, links and "
        "values in one request (`receivers.max_parts_per_request`)",
        hint="export smaller batches, or raise the limit",
    )


def too_many_line_bytes(max_line_bytes: int) -> LimitError:
    """The refusal of a request whose spans take more room on disk than may wait for it."""
    return LimitError(
        f"cannot take a request whose spans need more than {max_line_bytes} bytes on disk, where "
        "each has a copy of its resource (`storage.max_pending`)",
        hint="export smaller batches, or send fewer and smaller resource attributes",
    )


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
