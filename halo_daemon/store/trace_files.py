"""
Trace files by path, read as one data set through an index of their own.

One canonical span a line, as HALO and halo-daemon write them, plain, gzip or
zstd, with the liberties that files in the field take: other ids, any time zone,
fields left out. A trace may be spread over files; a damaged line is counted and
left out.

The lines are written once more, in their one form, into a temporary store, so
that files are asked by the same code as a data directory, within the same memory.
"""

import gzip
import io
import json
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, NamedTuple, cast

import orjson

from halo_daemon.errors import ConfigError
from halo_daemon.log import get_logger
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.times import format_unix_ns
from halo_daemon.store.paths import DataPaths, shard_stem
from halo_daemon.store.query_engine import LocalQueries
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.temporary import process_directory
from halo_daemon.store.trace_reader import Window, WindowBy

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

log = get_logger()

MAX_LINE_BYTES = 64 * 1024**2
"""A longer line counts as damaged."""

MAX_FILES_BYTES = 16 * 1024**3
"""Lines of all files, unpacked, where nothing else is said."""

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_BOM = b"\xef\xbb\xbf"
_NANOS = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PROJECT = "files"
_DAY = "1970-01-01"
"""All lines are filed under one day that is over, so that no look at them expects growth."""

_SHARD_BYTES = 256 * 1024**2
_DAMAGED = b"{}\n"
_CUT = (EOFError, zlib.error, gzip.BadGzipFile, zstd.ZstdError)

EVERYTHING = Window(0, 2**64 - 1, WindowBy.START)
"""A window that holds all spans."""


class TraceFiles(NamedTuple):
    """Files as a store; both are closed with the block that opened them."""

    reader: LocalTraceReader
    queries: LocalQueries


@contextmanager
def open_trace_files(
    paths: Sequence[Path],
    *,
    now_monotonic_s: Callable[[], float],
    max_bytes: int = MAX_FILES_BYTES,
) -> Iterator[TraceFiles]:
    """
    Read *paths* into a temporary store.

    Args:
        paths: Files of one data set.

        now_monotonic_s: Clock of time limits.

        max_bytes: Lines, unpacked, that are copied; a small packed file may hold any number.

    Raises:
        ConfigError: A file cannot be read, the lines are more than *max_bytes*, or there
            is no room for the copy.
    """
    with TemporaryDirectory(prefix="files-", dir=process_directory()) as name:
        root = Path(name)
        _write_store(root, paths, max_bytes)
        reader = LocalTraceReader(root, _PROJECT, settle_s=0, now_unix_ns=_long_after)
        queries = LocalQueries(
            root, _PROJECT, now_unix_ns=_long_after, now_monotonic_s=now_monotonic_s
        )
        try:
            yield TraceFiles(reader, queries)
        finally:
            reader.close()
            queries.close()


def canonical(fields: JsonObject) -> JsonObject:
    """
    The fields of a line with what may be missing filled in and times in their one form.

    Raises:
        KeyError, TypeError, ValueError: An id, a name, a time or the attributes are
            missing or of another type.
    """
    status, scope = _object(fields.get("status")), _object(fields.get("scope"))
    resource = _object(fields.get("resource"))
    attributes = {**cast("JsonObject", fields["attributes"])}
    if "inference.observation_kind" not in attributes:
        kind = _text(attributes.get("openinference.span.kind"))
        attributes["inference.observation_kind"] = kind or "SPAN"
    return {
        **fields,
        "trace_id": _required(fields, "trace_id"),
        "span_id": _required(fields, "span_id"),
        "parent_span_id": _text(fields.get("parent_span_id")),
        "name": _required(fields, "name"),
        "kind": _text(fields.get("kind")) or "SPAN_KIND_UNSPECIFIED",
        "start_time": format_unix_ns(_unix_ns(fields["start_time"])),
        "end_time": format_unix_ns(_unix_ns(fields.get("end_time"))),
        "status": {
            **status,
            "code": _text(status.get("code")) or "STATUS_CODE_UNSET",
            "message": _text(status.get("message")),
        },
        "resource": {**resource, "attributes": _object(resource.get("attributes"))},
        "scope": {
            **scope,
            "name": _text(scope.get("name")),
            "version": _text(scope.get("version")),
        },
        "attributes": attributes,
        **{key: _objects(fields[key]) for key in ("events", "links") if key in fields},
    }


def _long_after() -> int:
    """A moment long after the day of the lines: nothing is written to them any more."""
    return 2**62


def _write_store(root: Path, paths: Sequence[Path], max_bytes: int) -> None:
    day = DataPaths(root).project(_PROJECT).day(_DAY)
    day.directory.mkdir(parents=True)
    sequence = size_bytes = 0
    shard: BinaryIO | None = None
    try:
        for line in _up_to(max_bytes, paths):
            if shard is None or size_bytes > _SHARD_BYTES:
                sequence, size_bytes = sequence + 1, 0
                if shard is not None:
                    shard.close()
                stem = shard_stem(0, worker=0, sequence=sequence)
                shard = day.plain(stem).open("wb")
            size_bytes += shard.write(line)
    except OSError as exc:
        raise ConfigError(
            f"cannot copy {len(paths)} trace files to {root}: {exc}",
            hint="TMPDIR names a directory with more room",
        ) from exc
    finally:
        if shard is not None:
            shard.close()


def _up_to(max_bytes: int, paths: Sequence[Path]) -> Iterator[bytes]:
    """The lines of all files, as long as they take no more than *max_bytes*."""
    size_bytes = 0
    for path in paths:
        for line in _lines_of(path):
            size_bytes += len(line)
            if size_bytes > max_bytes:
                raise ConfigError(
                    f"cannot copy {len(paths)} trace files: their lines take more than "
                    f"{max_bytes} bytes (`analysis.max_files`), reached in {path}",
                    hint="name fewer files, or raise the setting and have room in TMPDIR",
                )
            yield line


def _lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a file in their one form; where a packed file is cut, a damaged one ends it."""
    try:
        with path.open("rb") as file:
            yield from _lines_in(_unpacked(file))
    except _CUT as exc:
        log.warning("trace_file_cut", path=str(path), error=str(exc))
        yield _DAMAGED
    except OSError as exc:
        raise ConfigError(
            f"cannot read {path}: {exc.strerror or exc}",
            hint="give a JSONL file with one span a line",
        ) from exc


def _lines_in(stream: io.BufferedReader) -> Iterator[bytes]:
    while line := stream.readline(MAX_LINE_BYTES + 1):
        if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            _skip_line(stream)
            yield _DAMAGED
        else:
            yield from _in_one_form(line.removeprefix(_BOM))


def _skip_line(stream: io.BufferedReader) -> None:
    while part := stream.readline(MAX_LINE_BYTES):
        if part.endswith(b"\n"):
            return


def _unpacked(file: io.BufferedReader) -> io.BufferedReader:
    head = file.peek(4)[:4]
    if head.startswith(_GZIP_MAGIC):
        return io.BufferedReader(gzip.GzipFile(fileobj=file))
    if head == _ZSTD_MAGIC:
        return io.BufferedReader(cast("io.RawIOBase", zstd.ZstdFile(cast("BinaryIO", file))))
    return file


def _in_one_form(line: bytes) -> Iterator[bytes]:
    if not line.strip():
        return
    try:
        try:
            fields = _object(orjson.loads(line))
        except ValueError:
            yield orjson.dumps(canonical(_mended(line)), option=orjson.OPT_APPEND_NEWLINE)
            return
        whole = canonical(fields)
        # A line that is in the form already keeps its bytes, and so its size in answers.
        if whole == fields:
            yield line.strip() + b"\n"
        else:
            yield orjson.dumps(whole, option=orjson.OPT_APPEND_NEWLINE)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        yield _DAMAGED


def _mended(line: bytes) -> JsonObject:
    """
    A line that is JSON but for what some writers leave in it.

    Those are NaN and Infinity (they become null), bytes of another encoding and halves of
    character pairs (a mark takes their place).

    Raises:
        ValueError: It is no JSON even so.
    """
    value = json.loads(line.decode("utf-8", "replace"))
    return _object(json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")))


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _objects(value: JsonValue) -> list[JsonValue]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""


def _required(fields: JsonObject, key: str) -> str:
    value = fields[key]
    if not isinstance(value, str) or not value:
        raise ValueError(f"`{key}` is not a text")
    return value


def _unix_ns(value: JsonValue) -> int:
    """Nanoseconds of an ISO 8601 text of any precision; 0 for nothing and for before 1970."""
    if not value:
        return 0
    text = _text(value)
    head, dot, tail = text.partition(".")
    digits = "".join(char for char in tail if char.isdigit()) if dot else ""
    zone = tail.lstrip("0123456789") if dot else ""
    if dot and ("+" in zone or "-" in zone):
        digits = tail[: len(tail) - len(zone)]
    moment = datetime.fromisoformat(head + (zone if dot else ""))
    delta = moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH
    whole_s = delta.days * 86_400 + delta.seconds
    return max(0, whole_s * _NANOS + int(digits[:9].ljust(9, "0") or 0))
