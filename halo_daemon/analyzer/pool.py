"""
The miner on several cores: each process reads and examines its own traces.

The calling process is one of them, so that two processes cost one start and the
memory of one more interpreter. Traces are dealt out by a hash of their id, so no
process waits for a list, and what comes back merges in any order: the findings are
the same for any number of processes. Child processes are spawned, never forked.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

from halo_daemon.analyzer.miner import mine
from halo_daemon.analyzer.partial import Partial
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.store.trace_reader import Share, TraceReader, Window

MAX_PROCESSES = 64
_EXIT_ORPHANED = 1

OpenReader = Callable[[], TraceReader]
"""Opens a reader of the same traces in another process; must be picklable."""


def mine_in_parts(
    open_reader: OpenReader, window: Window, settings: MinerSettings, *, processes: int
) -> Partial:
    """
    Mine *window* with *processes* processes; with one, in this process.

    Raises:
        StoreError: The traces cannot be read.
        ValueError: Not between 1 and 64 processes.
    """
    if not 1 <= processes <= MAX_PROCESSES:
        raise ValueError(f"cannot mine with {processes} processes: 1 to {MAX_PROCESSES}")
    shares = [Share(place, processes) for place in range(processes)]
    if processes == 1:
        return mine_share(open_reader, window, settings, shares[0])
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        max_workers=processes - 1, mp_context=context, initializer=_end_with_parent
    ) as pool:
        tasks = [
            pool.submit(mine_share, open_reader, window, settings, share) for share in shares[1:]
        ]
        known = mine_share(open_reader, window, settings, shares[0])
        for task in tasks:
            known.absorb(task.result())
    return known


def mine_share(
    open_reader: OpenReader, window: Window, settings: MinerSettings, share: Share
) -> Partial:
    """Mine the traces of one share."""
    return mine(open_reader().iter_traces(window, share=share), settings)


def _end_with_parent() -> None:
    """Have this child process end at once when its parent is killed: nobody takes its share."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "runs in child processes"

    def watch() -> None:
        parent.join()
        os._exit(_EXIT_ORPHANED)

    threading.Thread(target=watch, daemon=True).start()
