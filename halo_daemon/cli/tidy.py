"""``halo-daemon store tidy``: one pass of what the daemon does every hour."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from halo_daemon.cli.options import ConfigOption, DataOption, load_config

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from halo_daemon.store.paths import DataPaths


def tidy(ctx: typer.Context, *, config: ConfigOption = None, data: DataOption = None) -> None:
    """Compress sealed shards, delete what `storage.retention` does not keep, bring indexes up."""
    import time

    from halo_daemon import log
    from halo_daemon.store.compress import compress_sealed
    from halo_daemon.store.paths import DataPaths
    from halo_daemon.store.project_index import ProjectIndex
    from halo_daemon.store.retention import Retention, prune

    settings = load_config(ctx, config=config, data=data)
    log.configure(level=settings.telemetry.log.level, log_format=settings.telemetry.log.format)
    import structlog

    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    storage, paths = settings.storage, DataPaths(settings.data.dir)
    limits = storage.retention
    retention = Retention(limits.max_age_s, limits.max_size_bytes, limits.max_traces)
    with _sole_writer(paths):
        for slug in paths.slugs():
            place = paths.project(slug)
            if retention != Retention():
                gone = prune(place, retention, now_unix_ns=time.time_ns())
                logger.info(
                    "project_pruned", project=slug, traces=gone.traces, bytes=gone.line_bytes
                )
            index = ProjectIndex(place, now_unix_ns=time.time_ns)
            try:
                index.catch_up()
            finally:
                index.close()
        done = compress_sealed(
            paths, older_than_s=storage.compress_after_s, now_unix_ns=time.time_ns()
        )
    logger.info(
        "shards_compressed",
        shards=done.shards,
        plain_bytes=done.plain_bytes,
        compressed_bytes=done.compressed_bytes,
    )


def _sole_writer(paths: "DataPaths") -> "AbstractContextManager[object]":
    """The right to change shards: the lock, or being a child of the daemon that has it."""
    from contextlib import nullcontext

    from halo_daemon.errors import LockHeldError
    from halo_daemon.store.lock import DataLock

    try:
        return DataLock(paths)
    except LockHeldError:
        if _holder_pid(paths.lock) == os.getppid():
            return nullcontext()
        raise


def _holder_pid(lock: Path) -> int:
    words = lock.read_text(encoding="utf-8", errors="replace").split()
    return int(words[1]) if words[:1] == ["pid"] and words[1:2] and words[1].isdigit() else 0
