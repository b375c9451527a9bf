import contextlib
import os
from pathlib import Path

import pytest

from halo_daemon.errors import StoreError
from halo_daemon.store.compress import compress_sealed
from halo_daemon.store.copies import backup, restore
from halo_daemon.store.disk import Disk
from halo_daemon.store.maintenance import DamageKind, project_stats, reindex, verify
from halo_daemon.store.paths import DataPaths, DayPaths, day_of
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.receipts import encode_receipt
from halo_daemon.store.recovery import recover
from halo_daemon.store.retention import Pruned, Retention, prune
from halo_daemon.store.shard import Shard
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.failing_disk import FailingDisk, KilledError
from halo_daemon.testing.spans import START_UNIX_NS, make_line, span_id_of, trace_id_of

DAY_NS = 86_400 * 10**9
DAYS = 4
NOW = START_UNIX_NS + DAYS * DAY_NS
EVERYTHING = Window(0, 2**63)


def store_day(root: Path, number: int) -> DayPaths:
    """Ten traces of two spans; the second span of the last one comes a day later."""
    received = START_UNIX_NS + number * DAY_NS
    day = DataPaths(root).project("default").day(day_of(received))
    day.directory.mkdir(parents=True)
    lines = [
        make_line(trace_id=trace_id_of(number * 10 + trace), span_id=span_id_of(span))
        for trace in range(1, 11)
        for span in ((1,) if trace == 10 else (1, 2))
    ]
    if number:
        lines.append(make_line(trace_id=trace_id_of(number * 10), span_id=span_id_of(2)))
    data = b"".join(lines)
    day.plain("100000Z-w0-000001").write_bytes(data)
    day.receipts("100000Z-w0-000001").write_bytes(encode_receipt(len(data), received))
    os.utime(day.plain("100000Z-w0-000001"), ns=(received, received))
    return day


@pytest.fixture
def days(tmp_path) -> list[DayPaths]:
    """Four days with a trace over each midnight."""
    return [store_day(tmp_path, number) for number in range(DAYS)]


def everything(root: Path) -> list[tuple[str, int, list[str]]]:
    """All traces with their receipts, as a fresh reader sees them."""
    reader = LocalTraceReader(root, "default", settle_s=0, now_unix_ns=lambda: NOW)
    received = {
        summary.trace_id: summary.last_received_unix_ns
        for summary in reader.list_traces(EVERYTHING, limit=1000)
    }
    found = [
        (trace.trace_id, received[trace.trace_id], [span.span_id for span in trace.spans])
        for trace in reader.iter_traces(EVERYTHING)
    ]
    reader.close()
    return found


def test_compressed_shards_read_as_before(tmp_path, days):
    """Compression changes no answer, with an index from before and with a new one."""
    before = everything(tmp_path)

    done = compress_sealed(DataPaths(tmp_path), older_than_s=3600, now_unix_ns=NOW)

    assert done.shards == DAYS
    assert not list(tmp_path.rglob("*.jsonl"))
    assert everything(tmp_path) == before
    reindex(DataPaths(tmp_path).project("default"), now_unix_ns=NOW)
    assert everything(tmp_path) == before


@pytest.mark.parametrize(
    ("older_than_s", "compressed"), [(0, DAYS), (86_400 * 2, DAYS - 1), (86_400 * 9, 0)]
)
def test_only_old_shards_are_compressed(tmp_path, days, older_than_s, compressed):
    """A shard is left alone until its last write is long enough ago."""
    done = compress_sealed(DataPaths(tmp_path), older_than_s=older_than_s, now_unix_ns=NOW)

    assert done.shards == compressed


def test_a_shard_in_use_is_neither_compressed_nor_pruned(tmp_path, days):
    """What a writer holds open is left to it, however old its day is."""
    path = days[0].plain("110000Z-w0-000002")
    shard = Shard(Disk(), path, day=days[0].day, opened_monotonic_s=0.0)
    shard.append(make_line(trace_id=trace_id_of(1), span_id=span_id_of(3)), received_unix_ns=1)

    compress_sealed(DataPaths(tmp_path), older_than_s=0, now_unix_ns=NOW * 2)
    project = DataPaths(tmp_path).project("default")
    prune(project, Retention(max_traces=0), now_unix_ns=NOW)
    shard.close()

    assert path.exists()
    assert [(trace, spans) for trace, _, spans in everything(tmp_path)] == [
        (trace_id_of(1), [span_id_of(1), span_id_of(2), span_id_of(3)])
    ]


def test_dying_before_any_one_call_of_compression_loses_nothing(tmp_path):
    """Wherever the process ends, every span is there once, and the next run leaves no rest."""
    dying = 0
    has_died = True
    while has_died:
        dying += 1
        root = tmp_path / str(dying)
        store_day(root, 0)
        before = everything(root)
        disk = FailingDisk(dying, kills=True)

        with contextlib.suppress(KilledError):
            compress_sealed(DataPaths(root), older_than_s=0, now_unix_ns=NOW, disk=disk)
        has_died = disk.has_failed

        assert everything(root) == before
        recover(DataPaths(root), disk=Disk())
        compress_sealed(DataPaths(root), older_than_s=0, now_unix_ns=NOW)
        assert everything(root) == before
        assert not list(root.rglob("*.jsonl"))
        assert not list(root.rglob(".tmp-*"))


@pytest.mark.parametrize("is_compressed", [False, True], ids=["plain", "compressed"])
@pytest.mark.parametrize(
    ("retention", "kept"),
    [
        pytest.param(Retention(), range(1, 41), id="no-limit"),
        pytest.param(Retention(max_age_s=86_400 * 2.5), range(20, 41), id="age"),
        pytest.param(Retention(max_age_s=0), [], id="age-zero"),
        pytest.param(Retention(max_traces=5), [30, 31, 32, 33, 34], id="count"),
        pytest.param(Retention(max_bytes=0), [], id="bytes-zero"),
    ],
)
def test_pruning_takes_whole_traces(tmp_path, days, retention, kept, is_compressed):
    """The newest traces stay, whole and with their times of receipt; no trace is in part."""
    if is_compressed:
        compress_sealed(DataPaths(tmp_path), older_than_s=0, now_unix_ns=NOW)
    before = everything(tmp_path)
    project = DataPaths(tmp_path).project("default")

    planned = prune(project, retention, now_unix_ns=NOW, dry_run=True)
    assert everything(tmp_path) == before
    done = prune(project, retention, now_unix_ns=NOW)

    wanted = {trace_id_of(number) for number in kept}
    assert everything(tmp_path) == [entry for entry in before if entry[0] in wanted]
    assert planned == done
    assert done.traces == len(before) - len(wanted)
    assert prune(project, retention, now_unix_ns=NOW) == Pruned(0, 0, 0, 0)


def test_pruning_leaves_files_that_are_not_ours(tmp_path, days):
    """A day without traces goes with all we made of it; what others put there stays."""
    note = days[0].directory / "note.txt"
    note.write_text("mine")
    (days[1].directory / "a directory").mkdir()
    later = days[2].directory / "100000Z-w0-000001.jsonl.v9"
    later.write_bytes(b"of a later version")
    days[3].receipts("110000Z-w0-000001").write_bytes(b"left by a crash")

    prune(DataPaths(tmp_path).project("default"), Retention(max_traces=0), now_unix_ns=NOW)

    assert everything(tmp_path) == []
    assert note.read_text() == "mine"
    assert later.read_bytes() == b"of a later version"
    assert (days[1].directory / "a directory").is_dir()
    assert not days[3].directory.exists()


class _WritingDisk(Disk):
    """A writer begins a shard before each of the first two files is created."""

    def __init__(self, day: DayPaths) -> None:
        self._day = day
        self.written: set[str] = set()

    def create(self, path: Path) -> int:
        """Store a span in the next free name of the same second, then create."""
        if len(self.written) < 2:
            sequence = len(self._day.stems()) + 1
            plain = self._day.plain(f"100000Z-w0-{sequence:06d}")
            shard = Shard(Disk(), plain, day=self._day.day, opened_monotonic_s=0.0)
            line = make_line(trace_id=trace_id_of(1000 + sequence), span_id=span_id_of(1))
            shard.append(line, received_unix_ns=NOW)
            shard.close()
            self.written.add(trace_id_of(1000 + sequence))
        return super().create(path)


def test_a_rewritten_shard_replaces_none_that_a_writer_began(tmp_path, days):
    """Names of one second are shared with writers, and each file keeps its own."""
    disk = _WritingDisk(days[2])
    project = DataPaths(tmp_path).project("default")

    prune(project, Retention(max_traces=5), now_unix_ns=NOW, disk=disk)

    assert len(disk.written) == 2
    assert disk.written <= {trace_id for trace_id, _, _ in everything(tmp_path)}


def test_pruning_goes_on_past_a_shard_that_cannot_be_read(tmp_path, days):
    """The damaged shard stays byte for byte, though lines go; other shards are pruned."""
    compress_sealed(DataPaths(tmp_path), older_than_s=0, now_unix_ns=NOW)
    before = everything(tmp_path)
    damaged = days[2].compressed("100000Z-w0-000001")
    data = bytearray(damaged.read_bytes())
    middle = len(data) // 3
    data[middle : middle + 20] = bytes(20)
    damaged.write_bytes(data)

    prune(DataPaths(tmp_path).project("default"), Retention(max_traces=5), now_unix_ns=NOW)

    assert damaged.read_bytes() == data
    assert [day.stems() for day in days[:2]] == [[], []]
    assert days[3].stems() == ["100000Z-w0-000002"]
    kept = {trace_id_of(number) for number in range(31, 35)}
    assert [entry for entry in everything(tmp_path) if entry[0] in kept] == [
        entry for entry in before if entry[0] in kept
    ]


def test_a_sound_project_has_no_damage(tmp_path, days):
    """Verifying finds nothing in either form of the shards, and figures add up."""
    project = DataPaths(tmp_path).project("default")
    assert list(verify(project, now_unix_ns=NOW)) == []
    compress_sealed(DataPaths(tmp_path), older_than_s=0, now_unix_ns=NOW)

    stats = project_stats(project, now_unix_ns=NOW)

    assert list(verify(project, now_unix_ns=NOW)) == []
    assert (stats.traces, stats.spans, stats.shards, stats.compressed_shards) == (40, 79, 4, 4)


def test_verify_names_each_kind_of_damage(tmp_path, days):
    """Bad lines, flipped bits, torn tails and unreadable shards are told with their place."""
    project = DataPaths(tmp_path).project("default")
    bad = days[0].plain("120000Z-w0-000003")
    bad.write_bytes(b"not a span\n" + make_line(span_id=span_id_of(77)) + b"half a li")
    everything(tmp_path)
    first = days[0].plain("100000Z-w0-000001")
    data = first.read_bytes()
    first.write_bytes(data.replace(b'"work"', b'"w0rk"', 1))
    days[1].compressed("130000Z-w0-000004").write_bytes(b"noise")

    found = list(verify(project, now_unix_ns=NOW))

    assert {damage.kind for damage in found} == {
        DamageKind.BAD_LINE,
        DamageKind.ALTERED_LINE,
        DamageKind.TORN_TAIL,
        DamageKind.UNREADABLE,
    }
    assert [damage.offset for damage in found if damage.kind is DamageKind.BAD_LINE] == [0]


def test_verify_goes_on_where_a_shard_is_pruned_meanwhile(tmp_path, days):
    """A shard that a daemon takes away between two looks is no damage and ends nothing."""
    torn = days[0].plain("090000Z-w0-000001")
    torn.write_bytes(make_line(span_id=span_id_of(77)) + b"half a li")
    everything(tmp_path)
    found = verify(DataPaths(tmp_path).project("default"), now_unix_ns=NOW)

    first = next(found)
    days[0].plain("100000Z-w0-000001").unlink()

    assert first.kind is DamageKind.TORN_TAIL
    assert [damage.path for damage in found] == []


def test_a_backup_restores_to_the_same_answers(tmp_path, days, tmp_path_factory):
    """A copy, even of a shard with half a line, gives the same traces elsewhere."""
    torn = days[0].plain("120000Z-w0-000003")
    torn.write_bytes(make_line(span_id=span_id_of(77)) + b"half a li")
    before = everything(tmp_path)

    elsewhere = tmp_path_factory.mktemp("elsewhere")
    backup(DataPaths(tmp_path), elsewhere / "copy")
    restore(elsewhere / "copy", DataPaths(elsewhere / "new"))

    assert everything(elsewhere / "new") == before
    assert not list((elsewhere / "copy").rglob("*.sqlite*"))
    assert (elsewhere / "copy/projects/default/spans" / days[0].day / torn.name).read_bytes()[
        -1:
    ] == b"\n"


def test_any_one_failing_call_of_a_backup_leaves_nothing_that_looks_whole(
    tmp_path, days, tmp_path_factory
):
    """Whichever system call fails, the copy restores in full or is refused."""
    before = everything(tmp_path)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    failing = 0
    has_failed = True
    while has_failed:
        failing += 1
        disk = FailingDisk(failing)
        copy, new = elsewhere / f"copy{failing}", elsewhere / f"new{failing}"
        with contextlib.suppress(StoreError):
            backup(DataPaths(tmp_path), copy, disk=disk)
        has_failed = disk.has_failed
        is_whole = (copy / "projects").exists()
        with contextlib.suppress(StoreError):
            restore(copy, DataPaths(new))

        assert new.exists() == is_whole
        assert not is_whole or everything(new) == before
    assert is_whole


class _CompressingDisk(Disk):
    """Compresses what is being copied, as housekeeping beside a backup does."""

    def __init__(self, paths: DataPaths) -> None:
        self._paths = paths

    def create(self, path: Path) -> int:
        """Compress everything before the first shard is copied."""
        compress_sealed(self._paths, older_than_s=0, now_unix_ns=NOW)
        return super().create(path)


def test_a_backup_beside_compression_has_every_span(tmp_path, days, tmp_path_factory):
    """A shard that changes its form between listing and copying is copied in the new one."""
    paths = DataPaths(tmp_path)
    days[0].plain("110000Z-w0-000002").write_bytes(make_line(span_id=span_id_of(88)))
    before = everything(tmp_path)
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    backup(paths, elsewhere / "copy", disk=_CompressingDisk(paths))
    restore(elsewhere / "copy", DataPaths(elsewhere / "new"))

    assert [(trace, spans) for trace, _, spans in everything(elsewhere / "new")] == [
        (trace, spans) for trace, _, spans in before
    ]


class _PruningDisk(Disk):
    """Deletes what is being copied, as retention beside a backup would."""

    def __init__(self, paths: DataPaths) -> None:
        self._project = paths.project("default")
        self.refusals = 0

    def create(self, path: Path) -> int:
        """Prune every trace before each shard is copied."""
        if path.suffix == ".jsonl":
            try:
                prune(self._project, Retention(max_traces=0), now_unix_ns=NOW)
            except StoreError:
                self.refusals += 1
        return super().create(path)


def test_a_backup_beside_pruning_has_every_trace_whole(tmp_path, days, tmp_path_factory):
    """Retention is refused while the spans are copied, and deletes them afterwards."""
    paths = DataPaths(tmp_path)
    before = everything(tmp_path)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    disk = _PruningDisk(paths)

    backup(paths, elsewhere / "copy", disk=disk)
    restore(elsewhere / "copy", DataPaths(elsewhere / "new"))
    prune(paths.project("default"), Retention(max_traces=0), now_unix_ns=NOW)

    assert disk.refusals == DAYS
    assert everything(elsewhere / "new") == before
    assert everything(tmp_path) == []


def test_copies_never_overwrite(tmp_path, days):
    """Copying onto a directory with projects, or restoring from nothing, is refused."""
    with pytest.raises(StoreError, match="projects already"):
        backup(DataPaths(tmp_path), tmp_path)
    with pytest.raises(StoreError, match="holds no projects"):
        backup(DataPaths(tmp_path / "nothing"), tmp_path.with_name("copy"))
    with pytest.raises(StoreError, match="into itself"):
        backup(DataPaths(tmp_path), tmp_path / "copy")
    with pytest.raises(StoreError, match="not a copy"):
        restore(tmp_path / "nothing", DataPaths(tmp_path / "new"))
