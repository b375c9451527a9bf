"""Server-sent events out of pieces of bytes, wherever they were cut."""

from halo_daemon.analyzer.agent.errors import Action, ModelError

MAX_EVENT_BYTES = 8 * 2**20
"""Largest event kept in memory; a larger one ends the stream."""


class EventParser:
    """
    Collects the ``data`` of events.

    Comment lines, ``event``, ``id`` and ``retry`` fields and blank events are
    passed over. Lines are decoded when they are complete, so a character cut
    between two packets stays whole.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._tail = b""
        self._data: list[str] = []
        self._data_bytes = 0

    def feed(self, piece: bytes) -> list[str]:
        """
        Take the next piece of the stream.

        Returns:
            The data of every event that *piece* completes, in order.

        Raises:
            ModelError: An event is larger than the limit.
        """
        *lines, self._tail = (
            (self._tail + piece).split(b"\n") if b"\n" in piece else (self._tail + piece,)
        )
        self._check_size(len(self._tail))
        events = []
        for line in lines:
            if line in {b"", b"\r"}:
                events += self._take_event()
            elif line.startswith(b"data:"):
                self._check_size(len(line))
                self._data.append(
                    line[5:].removeprefix(b" ").rstrip(b"\r").decode("utf-8", "replace")
                )
                self._data_bytes += len(line)
        return events

    def finish(self) -> list[str]:
        """The data of an event that the stream's end completes; at most one."""
        return [*self.feed(b"\n"), *self._take_event()]

    def _take_event(self) -> list[str]:
        data, self._data, self._data_bytes = "\n".join(self._data), [], 0
        return [data] if data else []

    def _check_size(self, more_bytes: int) -> None:
        size_bytes = self._data_bytes + more_bytes
        if size_bytes > self._max_event_bytes:
            raise ModelError(
                f"cannot read an event of more than {self._max_event_bytes} bytes",
                action=Action.RETRY,
            )
