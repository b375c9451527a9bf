"""What importers of files with one span a record have in common."""

from collections.abc import Callable, Iterable, Iterator

from halo_daemon.exchange.draft import Draft, request_of
from halo_daemon.exchange.incoming import (
    MAX_SPANS_A_REQUEST,
    Incoming,
    Input,
    Place,
    Request,
    Skipped,
)
from halo_daemon.exchange.json_records import Record, Unwrap, json_records, unwrap_nothing
from halo_daemon.proto.json_value import JsonObject

DraftOf = Callable[[JsonObject], Draft]
"""One record as a span; raises what a missing or wrong field raises."""

UNREADABLE = (KeyError, TypeError, AttributeError, ValueError, IndexError, OverflowError)
"""What reading a record of another shape than was expected raises."""

_MAX_WAITING_CHARS = 16 * 1024**2


def read_records(
    source: Input,
    name: str,
    draft_of: DraftOf,
    *,
    unwrap: Unwrap = unwrap_nothing,
    resource: JsonObject | None = None,
) -> Iterator[Incoming]:
    """
    Read spans, a thousand to a request.

    Args:
        source: The file.
        name: The source's name, for ids and attributes.
        draft_of: What makes a span of a record.
        unwrap: What takes an answer apart that wraps records.
        resource: Attributes of the resource; those of the file when None.
    """
    whose: JsonObject = {"service.name": source.name} if resource is None else resource
    return spans_of(json_records(source, unwrap), name, draft_of, resource=whose)


def spans_of(
    records: Iterable[Record], name: str, draft_of: DraftOf, *, resource: JsonObject
) -> Iterator[Incoming]:
    """As `read_records`, of records that are at hand."""
    waiting: list[Draft] = []
    resume: Place | None = None
    chars = 0
    for record in records:
        resume = record.end
        if record.value is None:
            yield Skipped(record.reason, record.where)
            continue
        try:
            waiting.append(draft_of(record.value))
        except UNREADABLE as exc:
            yield Skipped("not a span", f"{record.where}: {_why(exc)}")
            continue
        chars += _size(waiting[-1])
        is_full = len(waiting) >= MAX_SPANS_A_REQUEST or chars >= _MAX_WAITING_CHARS
        if is_full:
            yield _request(name, waiting, resource, resume)
            waiting, chars = [], 0
    if waiting:
        yield _request(name, waiting, resource, resume)


def _request(name: str, drafts: list[Draft], resource: JsonObject, resume: Place | None) -> Request:
    # Parents first: what is filled in for a missing time is then the same for any order.
    drafts.sort(key=lambda draft: (draft.trace, draft.start_unix_ns or 0, bool(draft.parent)))
    return Request(request_of(name, drafts, resource=resource), resume=resume)


def _size(draft: Draft) -> int:
    return sum(len(value) for value in draft.attributes.values() if isinstance(value, str))


def _why(exc: Exception) -> str:
    return f"no {exc}" if isinstance(exc, KeyError) else str(exc)[:80]
