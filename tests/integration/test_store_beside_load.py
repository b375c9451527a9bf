"""Every command of the store beside a daemon under load, and what it leaves."""

import http.client
import io
import json
import os
import threading
import time
from collections import Counter
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple, Self

import pytest

from halo_daemon.cli import app
from halo_daemon.cli.border import border
from halo_daemon.store.paths import DataPaths, day_of
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.daemon import DaemonProcess
from halo_daemon.testing.spans import make_line, span_id_of, trace_id_of

pytestmark = pytest.mark.slow

EVER = Window(0, 2**63 - 1)
SPANS = 5
"""Spans of a request, which is a trace: so a trace in part is a request in part."""

OLD_TRACES = 40
PROJECTS = ("p0", "p1")
ROUNDS = int(os.environ.get("HALO_STORE_ROUNDS", "1"))
"""How often all commands run; more for a long run."""

_DAY_NS = 86_400 * 10**9
_BETWEEN_S = 0.02
_ENVIRON = {
    "HALO_DAEMON__STORAGE__MIN_FREE": "1MiB",
    "HALO_DAEMON__STORAGE__SHARD__MAX_SIZE": "64KiB",
    "HALO_DAEMON__STORAGE__TIDY_EVERY": "2s",
    "HALO_DAEMON__STORAGE__COMPRESS_AFTER": "0s",
    "HALO_DAEMON__STORAGE__RETENTION__MAX_AGE": "36h",
}
WORKING = (
    "store stats --json",
    "store verify",
    "store reindex",
    "store compact --older-than 0s",
    "store prune --dry-run --max-age 36h",
    "trace list --project p0 --json",
)
REFUSED = (
    "store prune --max-age 36h --yes",
    "store repair",
    "store tidy",
    "project rename p0 q0",
    "reproject",
)


class Sender:
    """Sends requests for one project until it is stopped, and notes which were stored when."""

    def __init__(self, address: str, project: str) -> None:
        self._address = address
        self._project = project
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self.stored: list[str] = []
        self.error = ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _send(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=60)
        while not self._stop.wait(_BETWEEN_S):
            trace_id = os.urandom(16).hex()
            try:
                connection.request(
                    "POST",
                    "/v1/traces",
                    _request(self._project, trace_id),
                    {"Content-Type": "application/json"},
                )
                answer = connection.getresponse()
                answer.read()
            except OSError as exc:
                self.error = repr(exc)
                return
            if answer.status != 200:
                self.error = str(answer.status)
                return
            self.stored.append(trace_id)
        connection.close()


def _request(project: str, trace_id: str) -> bytes:
    now = time.time_ns()
    spans = [
        {
            "traceId": trace_id,
            "spanId": span_id_of(number + 1),
            "name": "work",
            "startTimeUnixNano": str(now),
            "endTimeUnixNano": str(now + 1),
            "attributes": [{"key": "input.value", "value": {"stringValue": "x" * 500}}],
        }
        for number in range(SPANS)
    ]
    name = {"key": "openinference.project.name", "value": {"stringValue": project}}
    resource = {"attributes": [name]}
    return json.dumps(
        {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}
    ).encode()


def _store_old(data: Path, project: str, *, days_ago: int) -> None:
    """Traces of two shards each, received some days ago."""
    received = time.time_ns() - days_ago * _DAY_NS
    day = DataPaths(data).project(project).day(day_of(received))
    day.directory.mkdir(parents=True)
    opened = time.strftime("%H%M%S", time.gmtime(received // 10**9))
    for number in range(2):
        path = day.plain(f"{opened}Z-w0-{number + 1:06d}")
        path.write_bytes(
            b"".join(
                make_line(
                    trace_id=trace_id_of(days_ago * 1000 + trace), span_id=span_id_of(number + 1)
                )
                for trace in range(OLD_TRACES)
            )
        )
        os.utime(path, ns=(received, received))


class Ended(NamedTuple):
    """A command that ended, with what it printed."""

    status: int
    stdout: str
    stderr: str


def _run(command: str, data: Path, *arguments: str) -> Ended:
    """Run it as another process than the daemon's would: this one, which is started already."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        redirect_stdout(stdout),
        redirect_stderr(stderr),
        pytest.raises(SystemExit) as ended,
        border(as_json=False),
    ):
        app([*command.split(), *arguments, "--data", str(data)])
    return Ended(int(ended.value.code or 0), stdout.getvalue(), stderr.getvalue())


def _traces(data: Path, project: str) -> dict[str, int]:
    """Spans of each trace; fails where a span is there twice."""
    reader = LocalTraceReader(data, project, settle_s=0.0, now_unix_ns=time.time_ns)
    try:
        found = {}
        for trace in reader.iter_traces(EVER):
            assert max(Counter(span.span_id for span in trace.spans).values()) == 1
            assert trace.trace_id not in found
            found[trace.trace_id] = len(trace.spans)
        return found
    finally:
        reader.close()


def _without_old(found: dict[str, int]) -> dict[str, int]:
    """Traces that were sent; those of before are whole or gone."""
    old = {trace_id: spans for trace_id, spans in found.items() if trace_id.startswith("0" * 20)}
    assert set(old.values()) <= {2}
    assert len(old) in (0, OLD_TRACES, 2 * OLD_TRACES)
    return {trace_id: spans for trace_id, spans in found.items() if trace_id not in old}


def _back_up(data: Path, copy: Path) -> None:
    done = _run("store backup", data, str(copy))
    assert done.status == 0, done.stderr


def _command_all(data: Path, pid: int) -> None:
    """Each command works, or is refused by name of the daemon."""
    for command in WORKING:
        done = _run(command, data)
        assert done.status == 0, (command, done.stdout[-500:], done.stderr)
    for command in REFUSED:
        done = _run(command, data)
        assert done.status != 0, (command, done.stdout[-500:])
        assert f"pid {pid} on" in done.stderr, (command, done.stderr)
        assert "has it open" in done.stderr, (command, done.stderr)
        assert "Try: " in done.stderr, (command, done.stderr)


def _require_whole(data: Path, project: str, stored: set[str]) -> dict[str, int]:
    """Every request that was stored is there, and each one whole; returns spans by trace."""
    found = _without_old(_traces(data, project))
    assert stored <= found.keys()
    assert set(found.values()) == {SPANS}
    return found


def _restored(copy: Path) -> Path:
    """A data directory elsewhere that is filled from a copy, and sound."""
    restored = copy.with_name(f"{copy.name}-restored")
    for command, arguments in (("store restore", [str(copy)]), ("store verify", [])):
        done = _run(command, restored, *arguments)
        assert done.status == 0, (command, done.stdout[-500:], done.stderr)
    return restored


def test_store_commands_beside_a_daemon_under_load_cost_no_span(tmp_path):
    """Each works or says who has the directory; live, copied and restored, requests are whole."""
    data = tmp_path / "data"
    for project in PROJECTS:
        _store_old(data, project, days_ago=1)
        _store_old(data, project, days_ago=9)
    copies = []
    with ExitStack() as stack:
        daemon = stack.enter_context(DaemonProcess(data, environ=_ENVIRON))
        senders = {
            project: stack.enter_context(Sender(daemon.http, project)) for project in PROJECTS
        }
        while any(len(sender.stored) < 20 for sender in senders.values()):
            assert [sender.error for sender in senders.values()] == ["", ""]
            time.sleep(0.05)
        for number in range(ROUNDS):
            stored = {project: set(sender.stored) for project, sender in senders.items()}
            copies.append((tmp_path / f"copy{number}", stored))
            _back_up(data, copies[-1][0])
            _command_all(data, daemon.pid)
            assert _run("store restore", data, str(copies[-1][0])).status != 0
            for project, sender in senders.items():
                _require_whole(data, project, set(sender.stored))
        assert [sender.error for sender in senders.values()] == ["", ""]

    for project, sender in senders.items():
        found = _require_whole(data, project, set(sender.stored))
        assert len(found) == len(sender.stored)
        # Retention took what was older than it keeps, and all of that.
        assert len(_traces(data, project)) == len(found) + OLD_TRACES
    for copy, stored in copies:
        restored = _restored(copy)
        for project in PROJECTS:
            _require_whole(restored, project, stored[project])
    renamed = _run("project rename p0 q0", data)
    assert renamed.status == 0, renamed.stderr
    _require_whole(data, "q0", set(senders["p0"].stored))
