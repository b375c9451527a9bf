"""
The miner on several cores: each process reads and examines its own traces.

The calling process is one of them, so that two processes cost one start and the
memory of one more interpreter. Traces are dealt out by a hash of their id, so no
process waits for a list. There are more shares than processes, and whoever is done
takes the next one: a child that is still starting, or whose traces are long, holds
nobody up. What comes back merges in any order: the findings are the same for any
number of processes. Child processes are spawned, never forked.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.sharedctypes import Synchronized
from typing import NamedTuple

from halo_daemon.analyzer.miner import mine
from halo_daemon.analyzer.partial import Partial
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.memory import collect_seldom
from halo_daemon.store.trace_reader import Share, TraceLoader, Window

MAX_PROCESSES = 64
_EXIT_ORPHANED = 1
_SHARES_A_PROCESS = 8

OpenReader = Callable[[], TraceLoader]
"""Opens a reader of the same traces in another process; must be picklable."""


def mine_in_parts(
    open_reader: OpenReader,
    window: Window,
    settings: MinerSettings,
    *,
    processes: int,
    among: frozenset[str] | None = None,
) -> Partial:
    """
    Mine *window*, or the traces *among* it, with *processes* processes; with one, in this process.

    Raises:
        StoreError: The traces cannot be read.
        ValueError: Not between 1 and 64 processes.
    """
    if not 1 <= processes <= MAX_PROCESSES:
        raise ValueError(f"cannot mine with {processes} processes: 1 to {MAX_PROCESSES}")
    if processes == 1:
        reader = open_reader()
        traces = reader.iter_traces(window, share=Share(0, 1, among))
        return mine(traces, settings, load_trace=reader.load_trace)
    context = multiprocessing.get_context("spawn")
    shares = _Shares(processes * _SHARES_A_PROCESS, context.Value("i", 0), among)
    with ProcessPoolExecutor(
        max_workers=processes - 1, mp_context=context, initializer=_begin, initargs=(shares,)
    ) as pool:
        tasks = [
            pool.submit(_mine_in_child, open_reader, window, settings) for _ in range(processes - 1)
        ]
        known = _mine_shares(open_reader, window, settings, shares)
        for task in tasks:
            known.absorb(task.result())
    return known


class _Shares(NamedTuple):
    """The shares of a window, each of which one process takes."""

    number: int
    taken: "Synchronized[int]"
    among: frozenset[str] | None

    def take(self) -> Iterator[Share]:
        """Shares that nobody has taken yet, as long as there are any."""
        while True:
            with self.taken.get_lock():
                place = self.taken.value
                self.taken.value = place + 1
            if place >= self.number:
                return
            yield Share(place, self.number, self.among)


def _mine_shares(
    open_reader: OpenReader, window: Window, settings: MinerSettings, shares: _Shares
) -> Partial:
    reader = open_reader()
    known = Partial()
    for share in shares.take():
        traces = reader.iter_traces(window, share=share)
        known.absorb(mine(traces, settings, load_trace=reader.load_trace))
    return known


# A lock reaches a child only while that is started; tasks find it here.
_in_child: list[_Shares] = []


def _mine_in_child(open_reader: OpenReader, window: Window, settings: MinerSettings) -> Partial:
    return _mine_shares(open_reader, window, settings, _in_child[0])


def _begin(shares: _Shares) -> None:
    """Have this child process end at once when its parent is killed: nobody takes its shares."""
    collect_seldom()
    _in_child.append(shares)
    parent = multiprocessing.parent_process()
    assert parent is not None, "runs in child processes"

    def watch() -> None:
        parent.join()
        os._exit(_EXIT_ORPHANED)

    threading.Thread(target=watch, daemon=True).start()
