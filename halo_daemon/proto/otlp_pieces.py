"""
Large export requests, cut into pieces before anything is parsed.

Theory of operation
===================

An empty message takes two bytes on the wire and sixteen and more in memory, so a request
that is parsed as a whole may cost many times its size. The requests of all signals have
one shape (resources, scopes in them, records in these), and fields of a message that stand
side by side are a message themselves. So the records are cut into runs, which are parsed
one at a time; each costs little, whatever is in it.

Only the shape is walked, one step for each record, which costs little beside decoding it.

Rule 1: what is cut is what the parser would have read: heads keep every field that is no
record, in wire order.

Rule 2: what no run can bound, a large record or head, is walked by `proto.otlp_bounds`.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from halo_daemon.errors import LimitError
from halo_daemon.proto.batch import MESSAGE_PARTS, DecodeLimits, too_many_parts, too_many_spans
from halo_daemon.proto.otlp_wire import field_at, fields

RUN_BYTES: Final = 256 * 1024
"""Records side by side are parsed together up to that size; smaller requests as a whole."""

_RESOURCES: Final = 0x0A
_SCOPES: Final = 0x12
_RECORDS: Final = 0x12


class Run(NamedTuple):
    """Records side by side: ``body[start:end]`` is a message of their scope."""

    start: int
    end: int


class ScopePiece(NamedTuple):
    """One scope: what it is, and where its records are."""

    head: bytes
    """The ``Scope…`` message without its records."""

    records: int
    runs: list[Run]


class ResourcePiece(NamedTuple):
    """One resource: what it is, and its scopes."""

    head: bytes
    """The ``Resource…`` message without its scopes."""

    scopes: list[ScopePiece]


def split_traces(
    body: bytes, limits: DecodeLimits, *, run_bytes: int = RUN_BYTES
) -> Iterator[ResourcePiece]:
    """
    Cut a trace request into pieces, in wire order.

    Args:
        body: The serialised ``ExportTraceServiceRequest``.
        limits: What it may hold; resources and scopes count as `MESSAGE_PARTS` parts each.
        run_bytes: Spans side by side that may be one run; a larger span is one alone.

    Raises:
        MalformedError: While iterating, where the wire format is broken.
        LimitError: While iterating, where *body* holds too many of something.
    """
    return _Splitter(
        body,
        limits,
        max_records=limits.max_spans,
        too_many_records=too_many_spans,
        run_bytes=run_bytes,
    ).resources()


def split_others(body: bytes, limits: DecodeLimits) -> Iterator[ResourcePiece]:
    """`split_traces` for logs and metrics: a record counts as a resource, and is a run alone."""
    return _Splitter(
        body,
        limits,
        max_records=limits.max_parts // MESSAGE_PARTS,
        too_many_records=lambda _: too_many_parts(limits.max_parts),
        run_bytes=0,
    ).resources()


class _Splitter:
    def __init__(
        self,
        body: bytes,
        limits: DecodeLimits,
        *,
        max_records: int,
        too_many_records: Callable[[int], LimitError],
        run_bytes: int,
    ) -> None:
        self._body = body
        self._max_records = self._free_records = max_records
        self._too_many_records = too_many_records
        self._max_parts = self._free_parts = limits.max_parts
        self._run_bytes = run_bytes

    def resources(self) -> Iterator[ResourcePiece]:
        for tag, _, start, end in fields(self._body):
            if tag == _RESOURCES:
                self._take_part()
                yield self._resource(start, end)

    def _resource(self, start: int, end: int) -> ResourcePiece:
        head: list[bytes] = []
        scopes: list[ScopePiece] = []
        for tag, at, content, after in fields(self._body, start, end):
            if tag == _SCOPES:
                self._take_part()
                scopes.append(self._scope(content, after))
            else:
                head.append(self._body[at:after])
        return ResourcePiece(b"".join(head), scopes)

    def _scope(self, start: int, end: int) -> ScopePiece:
        body, run_bytes = self._body, self._run_bytes
        head: list[bytes] = []
        runs: list[Run] = []
        free = before = self._free_records
        run_start = run_end = start
        while start < end:
            # Not `fields`: an object for each record would be the most of this loop.
            tag, _, after = field_at(body, start, end)
            if tag != _RECORDS:
                head.append(body[start:after])
            else:
                free -= 1
                if free < 0:
                    raise self._too_many_records(self._max_records)
                if start != run_end or after - run_start > run_bytes:
                    if run_end > run_start:
                        runs.append(Run(run_start, run_end))
                    run_start = start
                run_end = after
            start = after
        if run_end > run_start:
            runs.append(Run(run_start, run_end))
        self._free_records = free
        return ScopePiece(b"".join(head), before - free, runs)

    def _take_part(self) -> None:
        self._free_parts -= MESSAGE_PARTS
        if self._free_parts < 0:
            raise too_many_parts(self._max_parts)
