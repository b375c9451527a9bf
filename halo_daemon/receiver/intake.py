"""
What is in work between the sockets and the sink, and how much that may be.

Theory of operation
===================

A request is *open* from its head to its answer, and *working* from the end of its
body on. Bytes are reserved as they arrive, so that many slow uploads cannot add up
to more memory than was granted; only working requests take one of the places, so
that slow uploads cannot keep the fast ones out.

One event loop owns it; there is no lock because nothing awaits between a check and
its reservation.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

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

    @contextmanager
    def work(self) -> Iterator[None]:
        """
        Hold one of the places while the body is decoded and stored.

        Raises:
            OverloadError: All places are taken.
        """
        self._intake.take_place()
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

    Attributes:
        open: Requests between their head and their answer.
        working: Those of them whose body is complete.
        held_bytes: Bytes of their bodies.
    """

    def __init__(self, *, max_requests: int, max_bytes: int) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._is_closed = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.open = 0
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
            OverloadError: All places are taken.
        """
        if self._is_closed:
            raise ShuttingDownError("cannot take a request: the receiver is stopping")
        self._require_place()
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
                "in use by requests (`receivers.max_held`)"
            )
        self.held_bytes += size_bytes

    def release_bytes(self, size_bytes: int) -> None:
        """Count bytes as given back."""
        self.held_bytes -= size_bytes

    def take_place(self) -> None:
        """Count one request as working; raises `OverloadError` when all places are taken."""
        self._require_place()
        self.working += 1

    def leave_place(self) -> None:
        """Count one request as done."""
        self.working -= 1

    def _require_place(self) -> None:
        if self.working >= self._max_requests:
            raise OverloadError(
                f"cannot take a request: {self.working} of {self._max_requests} in work "
                "(`receivers.max_concurrent_requests`)"
            )
