"""Promise 1 under `kill -9`."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from halo_daemon.store.paths import DataPaths
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.recovery import recover
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.spans import START_UNIX_NS

ROUNDS = 20
NUMBERS_A_ROUND = 1_000_000


def acknowledged_before_the_kill(root: Path, *, first: int, after: int) -> set[int]:
    """Run a writer, kill it after some acknowledgements, and return all that it gave."""
    command = [sys.executable, "-m", "tests.anomaly.store_writer_process", str(root), str(first)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(after)]
        process.kill()
        lines += process.stdout.readlines()
    return {int(line) for line in lines if line.endswith(b"\n")}


@pytest.mark.slow
def test_no_acknowledged_span_is_lost_by_kill_9(tmp_path):
    """Killed at random moments, 20 times on one directory, the writer keeps its promise."""
    draw = random.Random(20261120)
    acknowledged: set[int] = set()

    for round_number in range(ROUNDS):
        acknowledged |= acknowledged_before_the_kill(
            tmp_path,
            first=round_number * NUMBERS_A_ROUND + 1,
            after=draw.randrange(1, 150),
        )
    recover(DataPaths(tmp_path))

    for project, wanted in (("a", acknowledged), ("b", {n for n in acknowledged if n % 3 == 0})):
        reader = LocalTraceReader(tmp_path, project, settle_s=0, now_unix_ns=lambda: START_UNIX_NS)
        (trace,) = reader.iter_traces(Window(0, 2**63))
        overview = reader.overview(Window(0, 2**63))
        reader.close()
        stored = {int(span.span_id, 16) for span in trace.spans}
        assert wanted - stored == set()
        assert (overview.quarantined_lines, overview.duplicate_spans) == (0, 0)
