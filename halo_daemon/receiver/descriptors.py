"""Telling the log that no connection can be accepted any more."""

import asyncio
import errno
import os
import resource
from typing import Final

from halo_daemon.log import get_logger

log = get_logger()

_LOOK_EVERY_S: Final = 1.0
_TELL_EVERY_S: Final = 60.0
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE})


async def watch_descriptors() -> None:
    """
    Look every second whether a file could be opened; say once a minute that none can.

    Both listeners go on by themselves when descriptors are free again, but neither tells
    why it accepts nobody: one closes new connections at once, the other lets them wait.
    """
    while True:
        wait_s = _LOOK_EVERY_S
        if are_descriptors_exhausted():
            log.error(
                "descriptors_exhausted",
                limit=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
                hint="new connections are not accepted: raise the limit on open files, "
                "or lower `receivers.max_connections`",
            )
            wait_s = _TELL_EVERY_S
        await asyncio.sleep(wait_s)


def are_descriptors_exhausted() -> bool:
    """Whether this process, or the machine, has no file descriptor left."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as exc:
        return exc.errno in _EXHAUSTED
    return False
