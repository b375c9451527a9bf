"""A port that stays while the receivers behind it come and go."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

_CHUNK_BYTES = 65_536


class Relay:
    """
    Passes each connection on to the *target* (``host:port``) of its moment.

    Attributes:
        address: Where it listens.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        _cut(self._listener)
        self._cut_all()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def switch(self, target: str) -> None:
        """Pass new connections on to *target*, and cut those that are open."""
        self._target = target
        self._cut_all()

    def _cut_all(self) -> None:
        while self._open:
            _cut(self._open.pop())

    def _start(self, work: Callable[..., None], *arguments: socket.socket) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self._start(self._serve, self._listener.accept()[0])

    def _serve(self, client: socket.socket) -> None:
        host, _, port = self._target.rpartition(":")
        with client, socket.create_connection((host, int(port))) as server:
            self._open += (client, server)
            back = self._start(_pass_on, server, client)
            _pass_on(client, server)
            back.join()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(_CHUNK_BYTES):
            sink.sendall(chunk)
    _cut(sink)


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
