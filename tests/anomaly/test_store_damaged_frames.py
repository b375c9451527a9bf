"""Compressed shards in which some bytes changed."""

import os

import pytest

from halo_daemon.store.compress import compress_sealed
from halo_daemon.store.maintenance import DamageKind, project_stats, reindex, verify
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.retention import Retention, prune
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.spans import make_line, span_id_of, trace_id_of

EVERYTHING = Window(0, 2**63)
NOW = 1_800_000_000 * 10**9
TRACES = 600


@pytest.fixture
def project(tmp_path):
    """One compressed shard of three frames."""
    found = DataPaths(tmp_path).project("default")
    day = found.day("2026-08-29")
    day.directory.mkdir(parents=True)
    lines = [
        make_line(
            trace_id=trace_id_of(number),
            span_id=span_id_of(number),
            attributes={"input.value": os.urandom(2_000).hex()},
        )
        for number in range(1, TRACES + 1)
    ]
    day.plain("100000Z-w0-000001").write_bytes(b"".join(lines))
    compress_sealed(DataPaths(tmp_path), older_than_s=0, now_unix_ns=NOW * 2)
    return found


def shard_of(project):
    """The one shard's file."""
    (path,) = project.spans.rglob("*.jsonl.zst")
    return path


def flip(project, share):
    """Change one bit at *share* of the shard's file."""
    path = shard_of(project)
    data = bytearray(path.read_bytes())
    data[int(len(data) * share)] ^= 4
    path.write_bytes(data)


def readable(root):
    """Spans that a fresh reader gets."""
    reader = LocalTraceReader(root, "default", settle_s=0, now_unix_ns=lambda: NOW)
    spans = sum(len(trace.spans) for trace in reader.iter_traces(EVERYTHING))
    reader.close()
    return spans


@pytest.mark.parametrize("is_indexed", [False, True], ids=["new-index", "old-index"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.9])
def test_a_damaged_frame_costs_its_own_lines_only(tmp_path, project, share, is_indexed):
    """Lines of other frames are still read, verify tells the damage, and reindex goes on."""
    if is_indexed:
        assert readable(tmp_path) == TRACES
    flip(project, share)

    damage = list(verify(project, now_unix_ns=NOW))

    assert {one.kind for one in damage} <= {DamageKind.BAD_LINE, DamageKind.UNREADABLE}
    assert {one.path for one in damage} == {shard_of(project)}
    assert TRACES // 2 < readable(tmp_path) < TRACES
    assert reindex(project, now_unix_ns=NOW) == 1
    stats = project_stats(project, now_unix_ns=NOW)
    assert TRACES // 2 < stats.spans < TRACES
    assert stats.bad_lines


def test_a_damaged_shard_can_still_be_pruned(tmp_path, project):
    """Retention goes on over damage, and keeps what can be read."""
    flip(project, 0.3)
    before = readable(tmp_path)

    gone = prune(project, Retention(max_traces=before - 10), now_unix_ns=NOW)

    assert gone.traces == 10
    assert readable(tmp_path) == before - 10
