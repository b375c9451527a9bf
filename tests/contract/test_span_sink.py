"""One suite for every `SpanSink`."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from halo_daemon.errors import ShuttingDownError
from halo_daemon.proto.batch import SpanBatch
from halo_daemon.proto.project import project_named
from halo_daemon.proto.redact_line import Redaction, masked
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.redacting_sink import RedactingSink
from halo_daemon.store.writer import SpanWriter, WriterLimits
from halo_daemon.testing.memory_sink import MemorySink
from halo_daemon.testing.spans import START_UNIX_NS, make_line, span_id_of

ReadBack = Callable[[str], bytes]
Opened = tuple[Any, ReadBack]


def memory(tmp_path: Path) -> Opened:
    """The double."""
    sink = MemorySink()
    return sink, sink.lines


def disk(tmp_path: Path) -> Opened:
    """The real one."""
    sink = SpanWriter(
        tmp_path,
        worker=0,
        now_unix_ns=lambda: START_UNIX_NS,
        now_monotonic_s=lambda: 0.0,
        limits=WriterLimits(min_free_bytes=0),
    )
    paths = DataPaths(tmp_path)

    def read_back(slug: str) -> bytes:
        return b"".join(
            day.plain(stem).read_bytes()
            for day in paths.project(slug).days()
            for stem in day.stems()
        )

    return sink, read_back


def redacting(tmp_path: Path) -> Opened:
    """One that takes secrets out before the real one."""
    writer, read_back = disk(tmp_path)
    return _Redacting(writer), read_back


class _Redacting(RedactingSink):
    def __init__(self, writer: MemorySink | SpanWriter) -> None:
        super().__init__(writer.accept, Redaction(secrets=masked, dropped=("x.*",)))
        self.aclose = writer.aclose


@pytest.fixture(params=[memory, disk, redacting], ids=lambda factory: factory.__name__)
async def opened(request, tmp_path):
    """Each sink in turn, empty, with its read-back function."""
    sink, read_back = request.param(tmp_path)
    yield sink, read_back
    await sink.aclose()


def batch_of(*numbers: int, project: str = "default") -> SpanBatch:
    """A batch of small spans with these ids."""
    lines = b"".join(make_line(span_id=span_id_of(number)) for number in numbers)
    return SpanBatch(project_named(project), lines, len(numbers))


async def test_accepted_lines_are_stored_byte_for_byte(opened):
    """What was accepted can be read back unchanged when `accept` returns."""
    sink, read_back = opened
    batch = batch_of(1, 2, 3)

    await sink.accept([batch])

    assert read_back("default") == batch.lines


async def test_projects_are_kept_apart(opened):
    """Each batch of a request goes to its own project."""
    sink, read_back = opened
    one, other = batch_of(1, project="one"), batch_of(2, project="other")

    await sink.accept([one, other])

    assert (read_back("one"), read_back("other")) == (one.lines, other.lines)


async def test_nothing_is_a_success(opened):
    """A request without spans is accepted and stores nothing."""
    sink, read_back = opened

    await sink.accept([])

    assert read_back("default") == b""


async def test_concurrent_requests_are_all_stored(opened):
    """Many tasks may accept at the same time; every line is stored whole and once."""
    sink, read_back = opened

    async with asyncio.TaskGroup() as tasks:
        for number in range(1, 201):
            tasks.create_task(sink.accept([batch_of(number)]))

    assert sorted(read_back("default").splitlines(keepends=True)) == sorted(
        make_line(span_id=span_id_of(number)) for number in range(1, 201)
    )


async def test_resent_requests_are_kept_twice(opened):
    """A sink does not de-duplicate; readers do."""
    sink, read_back = opened
    batch = batch_of(1)

    await sink.accept([batch])
    await sink.accept([batch])

    assert read_back("default") == batch.lines * 2


async def test_closed_sinks_refuse(opened):
    """After closing, senders are told to come back later; closing twice is fine."""
    sink, _ = opened
    await sink.aclose()
    await sink.aclose()

    with pytest.raises(ShuttingDownError):
        await sink.accept([batch_of(1)])
