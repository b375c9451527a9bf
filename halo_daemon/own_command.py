"""
A command of our own as a child process, started anew and never forked.

The child is an ordinary `halo-daemon …` at low priority; it gets its wall-clock
limit from outside, so that one that hangs cannot hold up the next.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from halo_daemon.errors import AnalysisError, BudgetError

_TERMINATE_GRACE_S = 5.0
_NICENESS = 10
# A report that a budget cut short was written all the same.
_FINISHED = (0, 4)


async def run_command(
    verbs: Sequence[str], arguments: Sequence[str], *, wall_s: float, setting: str
) -> None:
    """
    Run ``halo-daemon`` *verbs* with *arguments* at low priority and wait for it.

    The child inherits environment, standard error and working directory. When
    the caller is cancelled, the child is stopped as well.

    Args:
        verbs: The command, such as ``analyze``.
        arguments: Its flags.
        wall_s: Seconds it may take.
        setting: The configuration key that says so.

    Raises:
        BudgetError: It took longer than *wall_s* seconds and was stopped.
        AnalysisError: It could not be started, or failed.
    """
    what = f"`halo-daemon {' '.join(verbs)}`"
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "halo_daemon"),
            *verbs,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )
    except OSError as exc:
        raise AnalysisError(f"cannot start {what}: {exc}") from exc
    _lower_priority(process.pid)
    try:
        async with asyncio.timeout(wall_s):
            status = await process.wait()
    except TimeoutError:
        await _stop(process)
        raise BudgetError(
            f"cannot finish {what}: {wall_s:g} s are over (`{setting}`)",
            hint=f"raise `{setting}`, or give it less to do",
        ) from None
    except BaseException:
        await _stop(process)
        raise
    if status not in _FINISHED:
        raise AnalysisError(
            f"cannot finish {what}: the child process ended with {status}",
            hint="its own log lines stand above",
        )


def _lower_priority(pid: int) -> None:
    # Best effort: receiving goes before analysing, but a run at full priority is still right.
    if hasattr(os, "setpriority"):
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, pid, _NICENESS)


async def _stop(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_TERMINATE_GRACE_S):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
