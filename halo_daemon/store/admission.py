"""How many bytes may be between "received" and "on disk"."""

from threading import Lock

from halo_daemon.errors import OverloadError


class Admission:
    """
    A count of pending bytes with a bound.

    The event loop reserves and the committer's thread releases, so a lock
    guards the one number.
    """

    def __init__(self, max_pending_bytes: int) -> None:
        self._lock = Lock()
        self._max_pending_bytes = max_pending_bytes
        self._pending_bytes = 0

    @property
    def pending_bytes(self) -> int:
        """Bytes that wait for the disk now."""
        return self._pending_bytes

    def reserve(self, wanted_bytes: int) -> None:
        """
        Claim room for *wanted_bytes*; `release` gives it back.

        A request larger than the whole bound is let in when nothing else waits:
        the receiver has its own limit on the size of a request.

        Raises:
            OverloadError: There is not enough room now; nothing was claimed.
        """
        with self._lock:
            after = self._pending_bytes + wanted_bytes
            if self._pending_bytes and after > self._max_pending_bytes:
                raise OverloadError(
                    f"cannot queue {wanted_bytes} bytes: {self._pending_bytes} of "
                    f"{self._max_pending_bytes} wait for the disk (`storage.max_pending`)",
                    hint="senders retry by themselves; if it lasts, the disk is too slow",
                )
            self._pending_bytes = after

    def release(self, claimed_bytes: int) -> None:
        """Give back what one `reserve` claimed."""
        with self._lock:
            self._pending_bytes -= claimed_bytes
            assert self._pending_bytes >= 0, "released more than was reserved"
