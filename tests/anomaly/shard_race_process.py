"""
Something happens between two system calls of a step that changes shards.

``python -m tests.anomaly.shard_race_process RACE ROOT``

The interpreter tells its hooks of calls just before it makes them, which is when another
process could act; hooks cannot be removed, so each race has a process of its own.
"""

import fcntl
import sys
from collections.abc import Callable
from pathlib import Path

from halo_daemon.store.compress import compress_sealed
from halo_daemon.store.disk import Disk
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.retention import Retention, prune
from halo_daemon.store.rewrite import ReceivedLine, replace_shard
from halo_daemon.store.shard import Shard
from halo_daemon.testing.spans import make_line, span_id_of, trace_id_of
from tests.unit.store.test_lifecycle import NOW

STEM = "100000Z-w0-000001"
_EXCLUSIVE = fcntl.LOCK_EX | fcntl.LOCK_NB


def once_before_a_shard_is_locked(action: Callable[[], None], *, after: str) -> None:
    """Act once, before the first exclusive lock that follows an event *after*; ``""`` for none."""
    is_due, is_done = not after, False

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal is_due, is_done
        is_due = is_due or event == after
        is_lock = event == "fcntl.flock" and arguments[1] == _EXCLUSIVE
        if is_due and is_lock and not is_done:
            is_done = True
            action()

    sys.addaudithook(hook)


def replace_while_compressing(paths: DataPaths) -> None:
    """Another process writes a shard anew, with one trace of many, as compression opens it."""
    day = paths.project("default").days()[0]
    line = ReceivedLine(NOW, make_line(trace_id=trace_id_of(2), span_id=span_id_of(1)))

    def replace() -> None:
        assert replace_shard(Disk(), day, STEM, iter([[line]]))

    once_before_a_shard_is_locked(replace, after="")
    compress_sealed(paths, older_than_s=0, now_unix_ns=NOW)


def seal_while_pruning(paths: DataPaths) -> None:
    """A writer adds a span to its shard and seals it once the index was asked what goes."""
    project = paths.project("default")
    day = project.days()[0]
    shard = Shard(Disk(), day.plain("110000Z-w0-000002"), day=day.day, opened_monotonic_s=0.0)
    old = make_line(trace_id=trace_id_of(500), span_id=span_id_of(1))
    shard.append(old, received_unix_ns=1)

    def seal() -> None:
        new = make_line(trace_id=trace_id_of(501), span_id=span_id_of(1))
        shard.append(new, received_unix_ns=2)
        shard.close()

    once_before_a_shard_is_locked(seal, after="sqlite3.connect")
    prune(project, Retention(max_traces=0), now_unix_ns=NOW)


if __name__ == "__main__":
    {
        "replace-while-compressing": replace_while_compressing,
        "seal-while-pruning": seal_while_pruning,
    }[sys.argv[1]](DataPaths(Path(sys.argv[2])))
