"""An import that is killed at any moment, and goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.spans import span_id_of, trace_id_of

SPANS = 15_000
EVER = Window(0, 2**63 - 1)


def otlp_line(number: int) -> str:
    """One request with one span and some text."""
    span = {
        "traceId": trace_id_of(1 + number // 10),
        "spanId": span_id_of(1 + number),
        "name": "work",
        "startTimeUnixNano": "1764547200000000000",
        "endTimeUnixNano": "1764547201000000000",
        "attributes": [{"key": "input.value", "value": {"stringValue": "x" * 300}}],
    }
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})


def requests() -> str:
    """A request a line."""
    return "\n".join(map(otlp_line, range(SPANS)))


def one_list() -> str:
    """One list of observations, as an export has it."""
    return json.dumps(
        [
            {
                "id": f"o{number}",
                "traceId": f"t{number // 10}",
                "type": "SPAN",
                "name": "work",
                "startTime": "2026-08-29T10:00:00.000Z",
                "endTime": "2026-08-29T10:00:01.000Z",
                "input": "x" * 300,
            }
            for number in range(SPANS)
        ]
    )


def command(source: str, data: Path, file: Path) -> list[str]:
    """The import as a user starts it."""
    return [
        *(sys.executable, "-m", "halo_daemon", "import", source, str(file)),
        *("--project", "p", "--resume", "--data", str(data)),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "content"), [("otlp", requests), ("langfuse", one_list)], ids=["lines", "one-list"]
)
def test_an_import_killed_again_and_again_loses_and_doubles_nothing(tmp_path, source, content):
    """SIGKILL in the middle, three times, then `--resume`: every span is there and counts once."""
    data, file = tmp_path / "data", tmp_path / "traces.json"
    file.write_text(content())
    environ = {**os.environ, "HOME": str(tmp_path)}
    kills = 0
    for _ in range(3):
        process = subprocess.Popen(
            command(source, data, file),
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        noted = data / "imports.jsonl"
        before = noted.read_bytes() if noted.exists() else b""
        while process.poll() is None:
            if noted.exists() and noted.read_bytes() != before:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.002)
        kills += process.wait() == -signal.SIGKILL

    final = command(source, data, file)
    ended = subprocess.run(final, env=environ, capture_output=True, check=True)
    again = subprocess.run(final, env=environ, capture_output=True, check=True)

    reader = LocalTraceReader(data, "p", settle_s=0.0, now_unix_ns=time.time_ns)
    overview = reader.overview(EVER)
    reader.close()
    assert kills >= 1
    assert b"spans stored" in ended.stdout
    assert b"read from where they were stored to" in ended.stderr
    assert b"already imported" in again.stderr
    assert (overview.spans, overview.quarantined_lines) == (SPANS, 0)
    # A kill between a batch and its note stores that batch again, and nothing else.
    assert overview.duplicate_spans < SPANS
