"""Writers, readers and indexers at the same time."""

import asyncio
import multiprocessing
import threading
import time
from pathlib import Path

from halo_daemon.proto.batch import SpanBatch
from halo_daemon.proto.project import project_named
from halo_daemon.store.disk import Disk
from halo_daemon.store.paths import DataPaths, day_of
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.retention import Retention, prune
from halo_daemon.store.shard import Shard, ShardLimits
from halo_daemon.store.trace_reader import Window
from halo_daemon.store.writer import SpanWriter, WriterLimits
from halo_daemon.testing.spans import START_UNIX_NS, make_line, span_id_of, trace_id_of

EVERYTHING = Window(0, 2**63)
SPANS = 400


def read(root: Path) -> int:
    """Count a project's spans with a reader of this process."""
    reader = LocalTraceReader(root, "default", settle_s=0, now_unix_ns=time.time_ns)
    try:
        spans = sum(len(trace.spans) for trace in reader.iter_traces(EVERYTHING))
        assert reader.overview(EVERYTHING).quarantined_lines == 0
        return spans
    finally:
        reader.close()


async def write(root: Path, *, on_stored) -> None:
    """Store spans one by one in small shards."""
    sink = SpanWriter(
        root,
        worker=0,
        now_unix_ns=time.time_ns,
        now_monotonic_s=time.monotonic,
        limits=WriterLimits(shard=ShardLimits(max_size_bytes=20_000), min_free_bytes=0),
    )
    for number in range(1, SPANS + 1):
        line = make_line(trace_id=trace_id_of(number % 7 + 1), span_id=span_id_of(number))
        await sink.accept([SpanBatch(project_named("default"), line, 1)])
        on_stored(number)
    await sink.aclose()


def test_readers_see_every_acknowledged_span_while_it_is_written(tmp_path):
    """Threads that share a reader, beside one that writes, never see fewer than acknowledged."""
    DataPaths(tmp_path).project("default").directory.mkdir(parents=True)
    reader = LocalTraceReader(tmp_path, "default", settle_s=0, now_unix_ns=time.time_ns)
    stored = 0
    is_done = threading.Event()
    wrong: list[tuple[int, int]] = []

    def look() -> None:
        while not is_done.is_set():
            before = stored
            seen = reader.overview(EVERYTHING).spans
            loaded = sum(len(trace.spans) for trace in reader.iter_traces(EVERYTHING))
            if seen < before or loaded < before:
                wrong.append((before, seen))

    def on_stored(number: int) -> None:
        nonlocal stored
        stored = number

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        asyncio.run(write(tmp_path, on_stored=on_stored))
    finally:
        is_done.set()
        for thread in threads:
            thread.join()

    assert wrong == []
    assert reader.overview(EVERYTHING).spans == SPANS
    reader.close()


def test_processes_that_index_at_the_same_time_agree(tmp_path):
    """Several processes that meet a project without an index all get the whole answer."""
    day = DataPaths(tmp_path).project("default").day("2026-08-29")
    day.directory.mkdir(parents=True)
    for shard in range(5):
        lines = [
            make_line(
                trace_id=trace_id_of(number % 50 + 1),
                span_id=span_id_of(shard * 1000 + number + 1),
                start_unix_ns=START_UNIX_NS,
            )
            for number in range(1000)
        ]
        day.plain(f"10000{shard}Z-w0-000001").write_bytes(b"".join(lines))

    with multiprocessing.get_context("spawn").Pool(3) as pool:
        counts = pool.map(read, [tmp_path] * 3)

    assert counts == [5000] * 3


HOUR_NS = 3600 * 10**9


async def write_old_and_new(root: Path) -> None:
    """Store traces of one span that came an hour ago and now, by turns, three to a shard."""
    received = START_UNIX_NS
    sink = SpanWriter(
        root,
        worker=0,
        now_unix_ns=lambda: received,
        now_monotonic_s=time.monotonic,
        limits=WriterLimits(shard=ShardLimits(max_size_bytes=1_500), min_free_bytes=0),
    )
    for number in range(1, SPANS + 1):
        received = START_UNIX_NS + HOUR_NS * (number % 2)
        line = make_line(trace_id=trace_id_of(number), span_id=span_id_of(1))
        await sink.accept([SpanBatch(project_named("default"), line, 1)])
    await sink.aclose()


def test_pruning_beside_a_writer_deletes_no_trace_that_is_kept(tmp_path):
    """Traces of the last half hour are all there, though pruned shards were sealed meanwhile."""
    project = DataPaths(tmp_path).project("default")
    project.spans.mkdir(parents=True)
    now_unix_ns = START_UNIX_NS + HOUR_NS + 1
    retention = Retention(max_age_s=1800.0)
    writing = threading.Thread(target=lambda: asyncio.run(write_old_and_new(tmp_path)))

    writing.start()
    while writing.is_alive():
        prune(project, retention, now_unix_ns=now_unix_ns)
    writing.join()
    prune(project, retention, now_unix_ns=now_unix_ns)

    reader = LocalTraceReader(tmp_path, "default", settle_s=0, now_unix_ns=lambda: now_unix_ns)
    stored = {trace.trace_id for trace in reader.iter_traces(EVERYTHING)}
    reader.close()
    assert stored == {trace_id_of(number) for number in range(1, SPANS + 1, 2)}


def test_a_scan_ends_with_what_was_stored_when_it_began(tmp_path):
    """Beside one who stores and indexes a trace with a later id for each that is read, it ends."""
    day = DataPaths(tmp_path).project("default").day(day_of(START_UNIX_NS))
    day.directory.mkdir(parents=True)
    shard = Shard(Disk(), day.plain("101500Z-w0-000001"), day=day.day, opened_monotonic_s=0.0)
    begin = 1_200
    lines = [make_line(trace_id=trace_id_of(number)) for number in range(1, begin + 1)]
    shard.append(b"".join(lines), received_unix_ns=START_UNIX_NS)
    reader, other = (
        LocalTraceReader(tmp_path, "default", settle_s=0, now_unix_ns=lambda: START_UNIX_NS)
        for _ in range(2)
    )

    found = []
    for number, trace in enumerate(reader.iter_traces(EVERYTHING), start=1):
        found.append(trace.trace_id)
        if number % 100 == 0:
            late = make_line(trace_id=trace_id_of(begin + number))
            shard.append(late, received_unix_ns=START_UNIX_NS)
            other.overview(EVERYTHING)
    stored = other.overview(EVERYTHING).traces
    reader.close()
    other.close()
    shard.close()

    assert found == [trace_id_of(number) for number in range(1, begin + 1)]
    assert stored == begin + begin // 100
