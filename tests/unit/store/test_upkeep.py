import os

from halo_daemon.store.compress import compress_sealed
from halo_daemon.store.follow import Follower
from halo_daemon.store.paths import DataPaths, day_of, shard_stem
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.retention import Retention
from halo_daemon.store.trace_reader import Window
from halo_daemon.store.upkeep import Upkeep
from halo_daemon.testing.spans import START_UNIX_NS, make_line, span_id_of, trace_id_of

DAY_NS = 86_400 * 10**9
NOW = START_UNIX_NS + 3 * DAY_NS


def store(root, slug: str, number: int, received: int) -> None:
    """One trace of one span in a shard of its own."""
    day = DataPaths(root).project(slug).day(day_of(received))
    day.directory.mkdir(parents=True, exist_ok=True)
    path = day.plain(shard_stem(received, worker=0, sequence=number))
    path.write_bytes(make_line(trace_id=trace_id_of(number)))
    os.utime(path, ns=(received, received))


def traces(root, slug: str) -> list[str]:
    """Ids of the traces of a project."""
    reader = LocalTraceReader(root, slug, settle_s=0, now_unix_ns=lambda: NOW)
    found = [trace.trace_id for trace in reader.iter_traces(Window(0, 2**63))]
    reader.close()
    return found


def test_each_project_is_kept_as_its_own_retention_says(tmp_path):
    """Old traces of one project go, those of another stay, and old shards are compressed."""
    for slug in ("short", "long"):
        store(tmp_path, slug, 1, START_UNIX_NS)
        store(tmp_path, slug, 2, NOW)
    upkeep = Upkeep(
        DataPaths(tmp_path),
        retention_of=lambda slug: Retention(max_age_s=86_400 if slug == "short" else None),
    )

    upkeep.run(NOW)

    assert traces(tmp_path, "short") == [trace_id_of(2)]
    assert traces(tmp_path, "long") == [trace_id_of(1), trace_id_of(2)]
    assert len(list(tmp_path.rglob("*.zst"))) == 1


def test_a_broken_project_does_not_stop_the_others(tmp_path):
    """Where one project cannot be indexed, the rest is looked after all the same."""
    store(tmp_path, "whole", 1, START_UNIX_NS)
    broken = DataPaths(tmp_path).project("broken")
    (broken.catalog).mkdir(parents=True)

    Upkeep(DataPaths(tmp_path)).run(NOW)

    assert len(list(tmp_path.rglob("*.zst"))) == 1


def test_a_follower_sees_what_comes_after_it(tmp_path):
    """New lines come once, whole, from shards that grow and from new ones."""
    store(tmp_path, "p", 1, NOW)
    follower = Follower(DataPaths(tmp_path), project="", now_unix_ns=NOW)
    assert list(follower.new_lines(NOW)) == []
    line = make_line(span_id=span_id_of(9))

    (shard,) = tmp_path.rglob("*.jsonl")
    with shard.open("ab") as file:
        file.write(line + line[:10])
    first = list(follower.new_lines(NOW))
    with shard.open("ab") as file:
        file.write(line[10:])
    store(tmp_path, "q", 2, NOW)
    second = list(follower.new_lines(NOW))

    assert [(new.slug, new.line + b"\n") for new in first] == [("p", line)]
    assert [new.slug for new in second] == ["p", "q"]
    assert list(follower.new_lines(NOW)) == []


def test_a_follower_does_not_repeat_what_was_compressed(tmp_path):
    """A shard that is compressed before or while it is followed gives no line twice."""
    store(tmp_path, "p", 1, NOW)
    follower = Follower(DataPaths(tmp_path), project="", now_unix_ns=NOW)
    (shard,) = tmp_path.rglob("*.jsonl")
    with shard.open("ab") as file:
        file.write(make_line(span_id=span_id_of(9)))
    first = list(follower.new_lines(NOW))
    compress_sealed(DataPaths(tmp_path), older_than_s=0.0, now_unix_ns=NOW + 10**18)

    assert not shard.exists()
    assert len(first) == 1
    assert list(follower.new_lines(NOW)) == []
    late = Follower(DataPaths(tmp_path), project="", now_unix_ns=NOW)
    assert list(late.new_lines(NOW)) == []


def test_a_follower_goes_over_midnight(tmp_path):
    """Lines of the new day come, and late ones of the day before too."""
    store(tmp_path, "p", 1, NOW)
    follower = Follower(DataPaths(tmp_path), project="p", now_unix_ns=NOW)
    tomorrow = NOW + 86_400 * 10**9
    store(tmp_path, "p", 2, tomorrow)
    (old,) = (tmp_path / "projects" / "p" / "spans" / day_of(NOW)).glob("*.jsonl")
    with old.open("ab") as file:
        file.write(make_line(span_id=span_id_of(9)))

    assert len(list(follower.new_lines(tomorrow))) == 2
