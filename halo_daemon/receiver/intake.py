"""
What is in work between the sockets and the sink, and how much that may be.

Theory of operation
===================

A request is *open* from its head to its answer, and *working* from the end of its
body on. Bytes are reserved as they arrive, so that many slow uploads cannot add up
to more memory than was granted; only working requests take one of the places, so
that slow uploads cannot keep the fast ones out. A burst waits a moment for a place
before it is refused, because a refusal costs the sender seconds.

One event loop owns it; there is no lock because nothing awaits between a check and
its reservation.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from halo_daemon.errors import OverloadError, ShuttingDownError


class Slot:
    """One open request."""

    __slots__ = ("_intake", "_size_bytes")

    def __init__(self, intake: "Intake") -> None:
        self._intake = intake
        self._size_bytes = 0

    def reserve(self, size_bytes: int) -> None:
        """
        Count *size_bytes* more of this request's body.

        Raises:
            OverloadError: All requests together would hold more than is granted.
        """
        self._intake.reserve_bytes(size_bytes)
        self._size_bytes += size_bytes

    def release(self) -> None:
        """Give back all that was reserved."""
        self._intake.release_bytes(self._size_bytes)
        self._size_bytes = 0

    @asynccontextmanager
    async def work(self) -> AsyncIterator[None]:
        """
        Hold one of the places while the body is decoded and stored.

        Raises:
            OverloadError: All places are taken, and none became free in time.
        """
        await self._intake.take_place()
        try:
            yield
        finally:
            self._intake.leave_place()


class Intake:
    """
    The door of both receivers.

    Args:
        max_requests: Requests that may be working at a time.
        max_bytes: Bytes of bodies that may be held at a time.
        patience_s: How long a request may wait for a place; as many may wait as may work.

    Attributes:
        open: Requests between their head and their answer.
        waiting: Those of them that wait for a place.
        working: Those of them that have one.
        held_bytes: Bytes of their bodies.
    """

    def __init__(self, *, max_requests: int, max_bytes: int, patience_s: float = 1.0) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._patience_s = patience_s
        self._places = asyncio.Semaphore(max_requests)
        self._is_closed = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.open = 0
        self.waiting = 0
        self.working = 0
        self.held_bytes = 0

    @property
    def is_closed(self) -> bool:
        """Whether new requests are refused."""
        return self._is_closed

    @contextmanager
    def request(self) -> Iterator[Slot]:
        """
        Admit one request, before its body is read.

        Raises:
            ShuttingDownError: The receiver is stopping.
            OverloadError: All places are taken, and as many requests wait for one.
        """
        self.require_open()
        slot = Slot(self)
        self.open += 1
        self._idle.clear()
        try:
            yield slot
        finally:
            slot.release()
            self.open -= 1
            if not self.open:
                self._idle.set()

    def close(self) -> None:
        """Refuse new requests; those that are open go on."""
        self._is_closed = True

    async def drained(self) -> None:
        """Wait until no request is open."""
        await self._idle.wait()

    def reserve_bytes(self, size_bytes: int) -> None:
        """Count bytes as held; raises `OverloadError` when they are too many."""
        if self.held_bytes + size_bytes > self._max_bytes:
            raise OverloadError(
                f"cannot hold {size_bytes} bytes more: {self.held_bytes} of {self._max_bytes} "
                "in use by requests (`storage.max_pending`)"
            )
        self.held_bytes += size_bytes

    def release_bytes(self, size_bytes: int) -> None:
        """Count bytes as given back."""
        self.held_bytes -= size_bytes

    def require_open(self) -> None:
        """
        Refuse what could not be admitted now.

        Raises:
            ShuttingDownError: The receiver is stopping.
            OverloadError: All places are taken, and as many requests wait for one.
        """
        if self._is_closed:
            raise ShuttingDownError("cannot take a request: the receiver is stopping")
        if self._places.locked() and self.waiting >= self._max_requests:
            raise self._overload()

    async def take_place(self) -> None:
        """
        Count one request as working, as soon as there is a place.

        Raises:
            OverloadError: There was none in time.
        """
        self.waiting += 1
        try:
            async with asyncio.timeout(self._patience_s):
                await self._places.acquire()
        except TimeoutError:
            raise self._overload() from None
        finally:
            self.waiting -= 1
        self.working += 1

    def leave_place(self) -> None:
        """Count one request as done."""
        self.working -= 1
        self._places.release()

    def _overload(self) -> OverloadError:
        return OverloadError(
            f"cannot take a request: {self.working} of {self._max_requests} in work, "
            f"{self.waiting} waiting (`receivers.max_concurrent_requests`)"
        )
