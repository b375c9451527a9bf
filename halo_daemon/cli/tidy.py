"""
``halo-daemon store tidy``: one pass of what the daemon does every `storage.tidy_every`.

Below a daemon it works under the daemon's lock, and ends when the daemon does: one that
outlived it would keep the next daemon off the directory, or change shards beside it.
"""

import os
import threading
from pathlib import Path
from typing import Annotated

import typer

from halo_daemon.cli.opening import require_named_data
from halo_daemon.cli.options import ConfigOption, DataOption, load_config

_PARENT_CHECK_S = 0.1
EXIT_ORPHANED = 1


def tidy(
    ctx: typer.Context,
    *,
    below_daemon: Annotated[bool, typer.Option("--below-daemon", hidden=True)] = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Compress sealed shards, delete what `storage.retention` does not keep, bring indexes up."""
    import time

    parent = os.getppid()
    if below_daemon:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    from halo_daemon import log
    from halo_daemon.store.lock import DataLock
    from halo_daemon.store.paths import DataPaths
    from halo_daemon.store.retention import Retention
    from halo_daemon.store.upkeep import Upkeep

    settings = load_config(ctx, config=config, data=data)
    require_named_data(ctx, data)
    log.configure(level=settings.telemetry.log.level, log_format=settings.telemetry.log.format)
    storage, paths = settings.storage, DataPaths(settings.data.dir)
    limits = storage.retention
    retention = Retention(limits.max_age_s, limits.max_size_bytes, limits.max_traces)
    upkeep = Upkeep(
        paths,
        compress_after_s=storage.compress_after_s,
        retention_of=lambda _slug: retention,
    )
    if not below_daemon:
        with DataLock(paths):
            upkeep.run(time.time_ns())
    elif _holder_pid(paths.lock) == parent:
        upkeep.run(time.time_ns())
    else:
        raise typer.Exit(EXIT_ORPHANED)


def _end_with(parent: int) -> None:
    """End this process at once when *parent* has; every step of a pass survives that."""
    while os.getppid() == parent:
        threading.Event().wait(_PARENT_CHECK_S)
    os._exit(EXIT_ORPHANED)


def _holder_pid(lock: Path) -> int:
    try:
        words = lock.read_text(encoding="utf-8", errors="replace").split()
    except FileNotFoundError:
        return 0
    return int(words[1]) if words[:1] == ["pid"] and words[1:2] and words[1].isdigit() else 0
