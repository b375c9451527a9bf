"""New lines as they are stored, without an index."""

from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

from halo_daemon.store.paths import DataPaths, ShardName, day_of
from halo_daemon.store.shard_files import ShardFiles, open_shard, read_groups

_BLOCK_BYTES = 1024**2
_DAY_NS = 86_400 * 10**9


class NewLine(NamedTuple):
    """One line that was stored since the last look."""

    slug: str
    line: bytes
    """Without its newline."""


class Follower:
    """
    Sees what is appended after it was made.

    Args:
        paths: The data directory.

        project: Slug of the only project to look at; ``""`` for all.

        now_unix_ns: What "now" is; lines of earlier days do not come any more.
    """

    def __init__(self, paths: DataPaths, *, project: str, now_unix_ns: int) -> None:
        self._paths = paths
        self._project = project
        self._offsets: dict[tuple[str, ShardName], int] = {}
        for slug, shard in self._shards(now_unix_ns):
            self._offsets[slug, shard] = self._end_bytes(slug, shard, 0)

    def new_lines(self, now_unix_ns: int) -> Iterator[NewLine]:
        """Complete lines that came since the last call, by project and shard; often none."""
        for slug, shard in self._shards(now_unix_ns):
            files = ShardFiles(self._paths.project(slug).spans)
            try:
                offset = self._offsets.get((slug, shard), 0)
                end = self._end_bytes(slug, shard, offset)
                while offset < end:
                    block = files.read_block(shard, offset, min(_BLOCK_BYTES, end - offset))
                    if not block.end:
                        break
                    offset += block.end
                    self._offsets[slug, shard] = offset
                    yield from (
                        NewLine(slug, line) for line in block.data.split(b"\n")[:-1] if line
                    )
            finally:
                files.close()

    def _end_bytes(self, slug: str, shard: ShardName, offset: int) -> int:
        """Where the last whole group of a shard ends by now; no more than *offset* if none is new."""
        day = self._paths.project(slug).day(shard.day)
        try:
            with closing(open_shard(day, shard.stem)) as reader:
                if reader.size_bytes <= offset:
                    return offset
                return read_groups(day, shard.stem, reader)[1]
        except OSError:
            return 0

    def _shards(self, now_unix_ns: int) -> list[tuple[str, ShardName]]:
        slugs = [self._project] if self._project else self._paths.slugs()
        days = {day_of(now_unix_ns), day_of(now_unix_ns - _DAY_NS)}
        return [
            (slug, ShardName(day.day, stem))
            for slug in slugs
            for day in self._paths.project(slug).days()
            if day.day in days
            for stem in day.stems()
        ]
