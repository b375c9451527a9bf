"""Every command that reads, beside a daemon that never stops receiving."""

import json
import os
import threading
import time
import urllib.request
from typing import Self

from tests.conformance.conftest import daemon_in

_BETWEEN_S = 0.02
_AT_MOST_S = 300.0
"""After so long the sender gives up, so that a command that chases it comes to its end."""

COMMANDS = (
    "project list",
    "project show {project}",
    "trace list",
    "trace list --errors --json",
    "trace show {trace}",
    "trace show {trace} --raw",
    "trace search order",
    "trace search status=error",
    "tail --count 1",
    "tail --count 2 --where status=error --json",
    "store stats",
    "store verify",
    "store reindex",
    "store compact",
    "store prune --max-age 1d --dry-run",
    "store backup copy",
    "reproject --dry-run",
    "analyze --since 1h --no-notify --output -",
    "finding list",
    "report list",
    "report show",
    "run list",
    "export halo",
    "export otlp-json -o spans.json",
    "export chrome-trace {trace}",
    "canary",
    "status",
)


def _request(now_unix_ns: int) -> bytes:
    """One trace of an agent and a tool that fails."""
    trace_id, agent, tool = os.urandom(16).hex(), os.urandom(8).hex(), os.urandom(8).hex()
    times = {
        "startTimeUnixNano": str(now_unix_ns - 10**9),
        "endTimeUnixNano": str(now_unix_ns),
    }
    root = {"traceId": trace_id, "spanId": agent, "name": "answer", **times}
    failed = {
        "traceId": trace_id,
        "spanId": tool,
        "parentSpanId": agent,
        "name": "look up order",
        "status": {"code": 2, "message": "no such order"},
        **times,
    }
    service = {"key": "service.name", "value": {"stringValue": "support-bot"}}
    spans = {"scopeSpans": [{"spans": [root, failed]}]}
    return json.dumps(
        {"resourceSpans": [{"resource": {"attributes": [service]}, **spans}]}
    ).encode()


class Sender:
    """Sends a small request every few milliseconds until it is stopped."""

    def __init__(self, http: str) -> None:
        self._url = f"http://{http}/v1/traces"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self.accepted = 0
        self.error = ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def is_sending(self) -> bool:
        """Whether it goes on."""
        return self._thread.is_alive()

    def _send(self) -> None:
        until_s = time.monotonic() + _AT_MOST_S
        while time.monotonic() < until_s and not self._stop.wait(_BETWEEN_S):
            request = urllib.request.Request(
                self._url, _request(time.time_ns()), {"Content-Type": "application/json"}
            )
            try:
                urllib.request.urlopen(request, timeout=30).close()
            except OSError as exc:
                self.error = repr(exc)
                return
            self.accepted += 1


def test_every_command_ends_beside_a_daemon_that_never_stops_receiving(run, tmp_path, monkeypatch):
    """Each ends with status 0 while spans keep coming, and no request is refused for it."""
    with daemon_in(tmp_path) as daemon, Sender(daemon.http) as sender:
        monkeypatch.setenv("HALO_DAEMON__RECEIVERS__OTLP__HTTP__ENDPOINT", daemon.http)
        assert run("tail --count 1", daemon.data)[0] == 0
        _, out, _ = run("trace list --limit 1 --json", daemon.data)
        words = {"project": "support-bot", "trace": json.loads(out)["traces"][0]["trace_id"]}
        for command in COMMANDS:
            status, out, err = run(command.format(**words), daemon.data)

            told = f"{command}: {err}{out[-500:]}"
            assert (status, sender.error) == (0, ""), told
            assert sender.is_sending, f"went on until the sender gave up: {told}"
            assert "Traceback" not in out + err, told
