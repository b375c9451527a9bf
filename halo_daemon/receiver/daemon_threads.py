"""
Work in threads that do not keep the process alive.

The interpreter waits at its end for every thread of a `ThreadPoolExecutor`, however
long the work in it takes.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar, cast

T = TypeVar("T")


class DaemonThreads:
    """
    At most *limit* threads at a time, called *name*; more work waits for its turn.

    Used from one event loop.
    """

    def __init__(self, limit: int, *, name: str) -> None:
        self._places = asyncio.Semaphore(limit)
        self._name = name

    async def run(self, work: Callable[[], T]) -> T:
        """
        The result of *work*, or what it raises.

        When the caller is cancelled the work goes on, and keeps its place, to its end.
        """
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: BaseException | None) -> None:
            self._places.release()
            if outcome.cancelled():
                return
            if error is not None:
                outcome.set_exception(error)
            else:
                outcome.set_result(cast("T", result))

        def target() -> None:
            result, error = None, None
            try:
                result = work()
            except BaseException as exc:  # noqa: BLE001 -- raised again where it is awaited
                error = exc
            with suppress(RuntimeError):  # the loop is closed, the process is ending
                loop.call_soon_threadsafe(settle, result, error)

        threading.Thread(target=target, name=self._name, daemon=True).start()
        return await outcome
