"""Rows C72, C77 and C78: what the disk and the clock can do."""

import subprocess

import grpc
import pytest

from halo_daemon.proto.batch import SpanBatch
from halo_daemon.proto.project import project_named
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.writer import SpanWriter, WriterLimits
from halo_daemon.testing.spans import START_UNIX_NS, make_line, span_id_of
from tests.conformance.conftest import daemon_in, receiver_of
from tests.conformance.requests import base_span, body_of, new_span_id, t1

HOUR_NS = 3_600 * 10**9
_MEGABYTES = 8


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few megabytes; skips where mounting is not allowed."""
    mount = tmp_path / "disk"
    mount.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={_MEGABYTES}m", "tmpfs", str(mount)]
    made = subprocess.run(["mount", *options], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("mounting is not allowed here")
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)


def _large():
    span = base_span(span_id=bytes.fromhex(new_span_id()))
    span.attributes.add(key="k").value.string_value = "x" * 1024**2
    return body_of(span)


def test_c72_a_disk_that_runs_full_is_told_and_got_over(small_disk):
    """Full: 503 and UNAVAILABLE, nothing acknowledged is lost; with space again, it goes on."""
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 4 * 1024**2)
    with daemon_in(small_disk, {"HALO_DAEMON__STORAGE__MIN_FREE": "0B"}) as daemon:
        receiver = receiver_of(daemon)
        statuses = [receiver.post(_large(), project="p").status for _ in range(8)]
        over_grpc = receiver.export(_large(), project="p")

        filler.unlink()
        again = receiver.post(t1(), project="p")

        stored = len(receiver.lines("p"))
        receiver.close()

    assert set(statuses) == {200, 503}
    assert over_grpc.code is grpc.StatusCode.UNAVAILABLE
    assert again.is_empty_success
    assert stored == statuses.count(200) + 1


@pytest.mark.parametrize("jump_ns", [HOUR_NS, -HOUR_NS, -30 * 24 * HOUR_NS])
async def test_c77_a_clock_that_jumps_costs_no_span(tmp_path, jump_ns):
    """Whatever the wall clock does between requests, all spans are stored once."""
    now_unix_ns = START_UNIX_NS
    writer = SpanWriter(
        tmp_path,
        worker=0,
        now_unix_ns=lambda: now_unix_ns,
        now_monotonic_s=lambda: 0.0,
        limits=WriterLimits(min_free_bytes=0),
    )

    for number in range(1, 7):
        line = make_line(span_id=span_id_of(number))
        await writer.accept([SpanBatch(project_named("p"), line, 1)])
        now_unix_ns += jump_ns if number % 2 else -jump_ns
    await writer.aclose()

    days = DataPaths(tmp_path).project("p").days()
    shards = [day.plain(stem).read_bytes() for day in days for stem in day.stems()]
    assert sum(shard.count(b"\n") for shard in shards) == 6


TAILS = [
    pytest.param(lambda shard: shard[:-1], 2, id="no-newline"),
    pytest.param(lambda shard: shard[:-40], 2, id="half-a-line"),
    pytest.param(lambda shard: shard + b"\0" * 5000, 3, id="zeros"),
    pytest.param(lambda shard: shard + b'{"trace_id":', 3, id="begun"),
    pytest.param(lambda shard: shard[:-30] + b"\xff" + shard[-29:], 2, id="flipped"),
]


@pytest.mark.parametrize(("damage", "kept"), TAILS)
def test_c78_a_damaged_tail_is_set_aside(tmp_path, damage, kept):
    """A daemon starts on a damaged shard, keeps its good lines, and goes on receiving."""
    daemon = daemon_in(tmp_path).start()
    receiver = receiver_of(daemon)
    for _ in range(3):
        receiver.post(t1(span_id=bytes.fromhex(new_span_id())), project="p")
    daemon.kill()
    [shard] = tmp_path.rglob("*.jsonl")
    shard.write_bytes(damage(shard.read_bytes()))

    with daemon:
        again = receiver_of(daemon)
        answer = again.post(t1(), project="p")
        stored = len(again.spans("p"))
        again.close()

    receiver.close()
    assert answer.is_empty_success
    assert stored == kept + 1
    assert any(path.is_file() for path in tmp_path.rglob("quarantine/*"))
