"""``halo-daemon store tidy``: one pass of what the daemon does every `storage.tidy_every`."""

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
    from halo_daemon.store.paths import DataPaths
    from halo_daemon.store.retention import Retention
    from halo_daemon.store.upkeep import Upkeep

    settings = load_config(ctx, config=config, data=data)
    log.configure(level=settings.telemetry.log.level, log_format=settings.telemetry.log.format)
    storage, paths = settings.storage, DataPaths(settings.data.dir)
    limits = storage.retention
    retention = Retention(limits.max_age_s, limits.max_size_bytes, limits.max_traces)
    upkeep = Upkeep(
        paths,
        compress_after_s=storage.compress_after_s,
        retention_of=lambda _slug: retention,
    )
    with _sole_writer(paths):
        upkeep.run(time.time_ns())


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
