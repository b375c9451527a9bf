"""Compressed shards in which some bytes changed."""

import os

import pytest

from halo_daemon.store.compress import compress_sealed
from halo_daemon.store.maintenance import DamageKind, project_stats, reindex, verify
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.recovery import mend_tables
from halo_daemon.store.retention import Retention, prune
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.spans import make_line, span_id_of, trace_id_of

EVERYTHING = Window(0, 2**63)
NOW = 1_800_000_000 * 10**9
TRACES = 600
TABLE_BYTES = 8 + 3 * 8 + 9


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


@pytest.mark.parametrize("is_indexed", [False, True], ids=["new-index", "old-index"])
@pytest.mark.parametrize("cut", [1, 9, 20, 41, 45, 20_000, 500_000])
def test_a_shard_without_its_end_keeps_its_whole_frames(tmp_path, project, cut, is_indexed):
    """Their lines are read, verify tells the loss, and repair brings the table back."""
    if is_indexed:
        assert readable(tmp_path) == TRACES
    path = shard_of(project)
    path.write_bytes(path.read_bytes()[:-cut])
    is_table_only = cut <= TABLE_BYTES

    kept = readable(tmp_path)
    damage = list(verify(project, now_unix_ns=NOW))

    assert kept == TRACES if is_table_only else TRACES // 4 < kept < TRACES
    assert DamageKind.LOST_TABLE in {one.kind for one in damage}
    assert (project_stats(project, now_unix_ns=NOW).bad_lines == 0) == is_table_only

    assert mend_tables(DataPaths(tmp_path)) == [path]
    reindex(project, now_unix_ns=NOW)
    left = {one.kind for one in verify(project, now_unix_ns=NOW)}
    assert left == (set() if is_table_only else {DamageKind.BAD_LINE})
    assert readable(tmp_path) == kept
    assert mend_tables(DataPaths(tmp_path)) == []


def test_a_flipped_footer_costs_no_line_and_is_told(tmp_path, project):
    """A shard whose footer changed reads whole; verify names it until it is mended."""
    path = shard_of(project)
    before = path.read_bytes()
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 4]))

    (damage,) = verify(project, now_unix_ns=NOW)

    assert (damage.kind, damage.path) == (DamageKind.LOST_TABLE, path)
    assert readable(tmp_path) == TRACES
    mend_tables(DataPaths(tmp_path))
    assert path.read_bytes() == before
