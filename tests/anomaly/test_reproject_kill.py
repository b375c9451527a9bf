"""`reproject` under `kill -9`: no span is lost, doubled or read by half."""

import itertools
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from halo_daemon.store.compress import compress_sealed
from halo_daemon.store.paths import DataPaths, shard_stem
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.receipts import encode_receipt
from halo_daemon.store.reproject import reproject
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.spans import START_UNIX_NS, make_fields, span_id_of

EVERYTHING = Window(0, 2**63)
SHARDS, SPANS = 3, 4
MOST_CALLS = 60
NOW = START_UNIX_NS + 10**18


def line_of(number: int) -> bytes:
    """A model call as a mapping wrote it that knew none."""
    fields = make_fields(span_id=span_id_of(number), project="p")
    attributes = fields["attributes"]
    assert isinstance(attributes, dict)
    sent = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": number}
    fields["attributes"] = {**sent, **attributes}
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A day of three shards, one of them compressed."""
    day = DataPaths(tmp_path).project("p").day("2026-01-01")
    day.directory.mkdir(parents=True)
    for shard in range(SHARDS):
        lines = [line_of(shard * SPANS + number + 1) for number in range(SPANS)]
        stem = shard_stem(START_UNIX_NS + shard * 10**9, worker=0, sequence=1)
        data = b"".join(lines)
        day.plain(stem).write_bytes(data)
        day.receipts(stem).write_bytes(encode_receipt(len(data), START_UNIX_NS))
        if shard == 0:
            compressed = compress_sealed(DataPaths(tmp_path), older_than_s=0, now_unix_ns=NOW)
            assert compressed.shards == 1
    return tmp_path


@pytest.mark.slow
def test_killed_at_every_call_it_ends_as_if_never_killed(root: Path) -> None:
    """Killed at its first call, then its second and so on, each run goes on where it can."""
    module = [sys.executable, "-m", "tests.anomaly.reproject_process", str(root)]
    project = DataPaths(root).project("p")

    for call in itertools.islice(itertools.count(1), MOST_CALLS):
        done = subprocess.run([*module, str(call)], cwd=Path(__file__).parents[2], check=False)
        reader = LocalTraceReader(root, "p", settle_s=0, now_unix_ns=lambda: NOW)
        (trace,) = reader.iter_traces(EVERYTHING)
        overview = reader.overview(EVERYTHING)
        reader.close()
        assert len(trace.spans) == overview.spans == SHARDS * SPANS
        assert overview.quarantined_lines == 0
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL

    assert done.returncode == 0
    assert overview.duplicate_spans == 0
    assert overview.input_tokens == sum(range(1, SHARDS * SPANS + 1))
    assert {span.observation_kind for span in trace.spans} == {"LLM"}
    assert reproject(project, now_unix_ns=NOW) == (0, 0, 0)
