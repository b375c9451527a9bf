"""
Stored spans read again by a newer mapping of conventions.

The raw attributes of every line are kept, so nothing is lost by a mapping that
knew less. A shard in which any line reads differently now is written anew; one
in which none does is left as it is, so that a second run changes nothing.
"""

from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

import orjson

from halo_daemon.proto.semconv import project_fields
from halo_daemon.store.disk import Disk
from halo_daemon.store.paths import DayPaths, ProjectPaths
from halo_daemon.store.project_index import ProjectIndex
from halo_daemon.store.rewrite import Part, ReceivedLine, replace_shard
from halo_daemon.store.shard_files import open_shard, read_groups, read_lines

_BLOCK_BYTES = 4 * 1024**2


class Reprojected(NamedTuple):
    """What `reproject` did, or would do."""

    shards: int
    """Shards written anew."""
    spans: int
    """Lines that read differently now."""
    shards_in_use: int
    """Shards that a writer holds open; another run takes them later."""


def reproject(
    paths: ProjectPaths, *, now_unix_ns: int, dry_run: bool = False, disk: Disk | None = None
) -> Reprojected:
    """
    Apply the mapping of this version to every shard of one project.

    The caller holds the data directory's lock. A line that is not a canonical span
    stays as it is. With *dry_run* nothing is changed.

    Raises:
        OSError: The disk refused; shards done so far are durable, none is in part.
    """
    disk = disk or Disk()
    shards = spans = in_use = 0
    changed_days: set[str] = set()
    for day in paths.days():
        for stem in day.stems():
            changed = sum(changed for _, changed in _read(day, stem))
            if not changed:
                continue
            spans += changed
            if dry_run:
                shards += 1
            elif replace_shard(disk, day, stem, (part for part, _ in _read(day, stem))):
                shards += 1
                changed_days.add(day.day)
            else:
                in_use += 1
    if changed_days:
        index = ProjectIndex(paths, now_unix_ns=lambda: now_unix_ns)
        for name in sorted(changed_days):
            index.rebuild(name)
        index.close()
    return Reprojected(shards, spans, in_use)


def _read(day: DayPaths, stem: str) -> Iterator[tuple[Part, int]]:
    """The lines of a shard as they read now, part by part, and how many of them changed."""
    with closing(open_shard(day, stem)) as reader:
        receipts, end = read_groups(day, stem, reader)
        offset = 0
        while offset < end and (
            block := read_lines(reader.read, offset, min(_BLOCK_BYTES, end - offset))
        ):
            part: Part = []
            changed = 0
            for content in block.split(b"\n")[:-1]:
                line = content + b"\n"
                offset += len(line)
                now = _projected(line)
                changed += now != line
                part.append(ReceivedLine(receipts.received_at(offset), now))
            yield part, changed


def _projected(line: bytes) -> bytes:
    try:
        fields = orjson.loads(line)
        return orjson.dumps(project_fields(fields), option=orjson.OPT_APPEND_NEWLINE)
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError):
        return line
