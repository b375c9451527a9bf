"""What days hold beside their traces."""

import os

import pytest

from halo_daemon.store.leftovers import PrunedQuarantine, prune_quarantine
from halo_daemon.store.maintenance import DamageKind, project_stats, verify
from halo_daemon.store.paths import DataPaths, day_of, shard_stem
from halo_daemon.store.recovery import recover
from halo_daemon.store.retention import Retention, prune
from halo_daemon.store.upkeep import Upkeep
from halo_daemon.testing.spans import START_UNIX_NS, make_line

DAY_NS = 86_400 * 10**9
NOW = START_UNIX_NS + 10 * DAY_NS
TORN = b'{"half a li'


def store_torn(root, age_days: int, lines: bytes = b""):
    """A shard of a day with a torn tail that was set aside on that day."""
    received = NOW - age_days * DAY_NS
    day = DataPaths(root).project("default").day(day_of(received))
    day.directory.mkdir(parents=True, exist_ok=True)
    path = day.plain(shard_stem(received, worker=0, sequence=1))
    path.write_bytes(lines + TORN)
    (tail,) = recover(DataPaths(root))
    for file in (path, tail.quarantined):
        os.utime(file, ns=(received, received))
    return day


@pytest.mark.parametrize("lines", [b"", make_line()], ids=["all-torn", "with-lines"])
def test_torn_tails_go_with_their_day(tmp_path, lines):
    """A day whose traces are pruned leaves nothing, though it has a quarantine."""
    day = store_torn(tmp_path, 8, lines)
    retention = Retention(max_age_s=2 * 86_400)

    Upkeep(DataPaths(tmp_path), retention_of=lambda _slug: retention).run(NOW)

    assert not day.directory.exists()


def test_torn_tails_stay_with_the_lines_around_them(tmp_path):
    """Without an age, a tail is kept, counted and told while its day has lines."""
    store_torn(tmp_path, 5, make_line())
    project = DataPaths(tmp_path).project("default")

    Upkeep(DataPaths(tmp_path)).run(NOW)

    assert project_stats(project, now_unix_ns=NOW).quarantined_bytes == len(TORN)
    assert [one.kind for one in verify(project, now_unix_ns=NOW)] == [DamageKind.QUARANTINED]


def test_an_old_torn_tail_goes_before_a_day_that_stays(tmp_path):
    """A tail that is older than traces are kept goes, its day's lines do not."""
    day = store_torn(tmp_path, 5, make_line())
    project = DataPaths(tmp_path).project("default")

    gone = prune_quarantine(project, max_age_s=86_400, now_unix_ns=NOW)

    assert gone == PrunedQuarantine(1, len(TORN))
    assert len(day.stems()) == 1
    assert project_stats(project, now_unix_ns=NOW).spans == 1


@pytest.mark.parametrize("is_dry", [True, False])
@pytest.mark.parametrize(("room", "kept"), [(0, 0), (1, 1), (2, 2), (9, 3)])
def test_beyond_the_bound_the_oldest_torn_tails_go(tmp_path, room, kept, is_dry):
    """As many of the newest as fit are kept; a dry run counts the same and deletes none."""
    for age in (3, 2, 1):
        store_torn(tmp_path, age, make_line())
    project = DataPaths(tmp_path).project("default")

    gone = prune_quarantine(
        project,
        max_age_s=None,
        now_unix_ns=NOW,
        max_bytes=room * len(TORN) + len(TORN) // 2,
        dry_run=is_dry,
    )

    assert gone == PrunedQuarantine(3 - kept, (3 - kept) * len(TORN))
    left = sorted(path.parent.parent.name for path in tmp_path.rglob("*.torn"))
    ages = range(3 if is_dry else kept, 0, -1)
    assert left == [day_of(NOW - age * DAY_NS) for age in ages]


def test_a_file_of_others_in_quarantine_stays(tmp_path):
    """Only what recovery wrote is deleted; a note beside it keeps the directory."""
    day = store_torn(tmp_path, 5, make_line())
    note = day.quarantine / "note.txt"
    note.write_text("mine")
    project = DataPaths(tmp_path).project("default")

    prune(project, Retention(max_traces=0), now_unix_ns=NOW)
    prune_quarantine(project, max_age_s=None, now_unix_ns=NOW)

    assert [path.name for path in day.directory.rglob("*") if path.is_file()] == ["note.txt"]


@pytest.mark.parametrize("age_days", [0, 1, 6])
def test_what_was_torn_whole_can_be_looked_at_for_a_week(tmp_path, age_days):
    """An empty shard keeps its torn tail, and one that a writer may fill is never deleted."""
    day = store_torn(tmp_path, age_days)
    project = DataPaths(tmp_path).project("default")

    assert prune_quarantine(project, max_age_s=None, now_unix_ns=NOW) == PrunedQuarantine(0, 0)
    assert len(day.stems()) == 1
