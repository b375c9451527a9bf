"""A daemon as a child process: what the demo and the tests start."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 120.0


class DaemonProcess:
    """
    ``halo-daemon serve`` on free loopback ports.

    ``grpc`` and ``http`` are ``host:port`` once `start` returned. The log goes to
    ``log_path``. Leaving the ``with`` block stops the daemon by SIGTERM.
    """

    def __init__(
        self,
        data: Path,
        *,
        log_path: Path | None = None,
        arguments: Sequence[str] = ("--no-schedule",),
        environ: Mapping[str, str] | None = None,
        start_timeout_s: float = START_TIMEOUT_S,
    ) -> None:
        self.data = data
        self.log_path = log_path or data.parent / f"{data.name}.log"
        self.grpc = ""
        self.http = ""
        self._arguments = tuple(arguments)
        self._environ = dict(environ or {})
        self._start_timeout_s = start_timeout_s
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The daemon's process id."""
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self) -> Self:
        """
        Start the daemon and wait until both ports answer.

        Raises:
            RuntimeError: It ended or was not ready in time; the message holds its log.
        """
        command = [sys.executable, "-m", "halo_daemon", "serve", "--data", str(self.data)]
        if "--grpc" not in self._arguments:
            command += ["--grpc", "127.0.0.1:0"]
        if "--http" not in self._arguments:
            command += ["--http", "127.0.0.1:0"]
        begin = self.log_path.stat().st_size if self.log_path.exists() else 0
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 -- our own command
                [*command, *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self._environ},
            )
        deadline = time.monotonic() + self._start_timeout_s
        while time.monotonic() < deadline:
            ready = self._ready_event(begin)
            if ready is not None:
                self.grpc, self.http = str(ready["grpc"]), str(ready["http"])
                return self
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        self.kill()
        raise RuntimeError(f"the daemon did not get ready:\n{self.log_path.read_text()[-4000:]}")

    def _ready_event(self, begin: int) -> dict[str, object] | None:
        with self.log_path.open("rb") as log:
            log.seek(begin)
            for line in log:
                if b'"ready"' not in line or not line.endswith(b"\n"):
                    continue
                event: dict[str, object] = json.loads(line)
                if event.get("event") == "ready":
                    return event
        return None

    def stop(
        self,
        *,
        with_signal: signal.Signals = signal.SIGTERM,
        timeout_s: float = STOP_TIMEOUT_S,
    ) -> int:
        """Ask the daemon to stop; returns its exit status."""
        assert self._process is not None, "not started"
        if self._process.poll() is None:
            self._process.send_signal(with_signal)
        return self._process.wait(timeout_s)

    def kill(self) -> None:
        """End the daemon at once, as a crash would; nothing is drained."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
        if self._process is not None:
            self._process.wait(STOP_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop()
