import os
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

from bench.faults.catalogue import MODES, runs
from halo_daemon.analyzer.pool import mine_in_parts
from halo_daemon.analyzer.run import RunInfo, analyze_window
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.findings import to_json
from halo_daemon.store.trace_reader import WHOLE, Window
from halo_daemon.testing.memory_reader import MemoryReader

WINDOW = Window(0, 2**62)
RUN = RunInfo("r_1", "run_1", 1_790_000_000_000_000_000)


def open_reader(number):
    """A reader of the same traces in any process."""
    reader = MemoryReader()
    for _, script in runs(number, rates={mode.name: 0.04 for mode in MODES}, seed=3):
        for span in script.spans():
            reader.add(span, received_unix_ns=1)
    return reader


class EndlessReader(MemoryReader):
    """Has more to read than anyone waits for, and notes who reads it."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory

    def iter_traces(self, window, *, share=WHOLE):
        """No trace, and no end."""
        (self._directory / str(os.getpid())).touch()
        threading.Event().wait()
        yield from super().iter_traces(window, share=share)


def mine_for_ever(directory):
    """Mine with three processes until killed."""
    mine_in_parts(partial(EndlessReader, directory), WINDOW, MinerSettings(), processes=3)


def test_killing_an_analysis_ends_its_child_processes(tmp_path):
    """After SIGKILL nobody works on, or holds the pipe of whoever waits for the output."""
    code = f"from {__name__} import *; mine_for_ever(Path({str(tmp_path)!r}))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as analysis:
        deadline_s = time.monotonic() + 300
        while len(list(tmp_path.iterdir())) < 3:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        analysis.kill()

        assert analysis.communicate(timeout=300)[0] == b""


def test_two_processes_write_the_same_report_as_one():
    """Real child processes, the same bytes."""
    opened = partial(open_reader, 100)
    reader = opened()

    alone = analyze_window(reader, project="p", window=WINDOW, run=RUN)
    both = analyze_window(
        reader, project="p", window=WINDOW, run=RUN, open_reader=opened, processes=2
    )

    assert to_json(both) == to_json(alone)


def test_a_process_of_the_miner_loads_the_miner_and_the_store_alone():
    """What it imports holds no command line, configuration, report, logging or event loop."""
    code = (
        "import sys, halo_daemon.__main__, halo_daemon.analyzer.pool, halo_daemon.store.reader;"
        "print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout

    assert b"halo_daemon.analyzer.miner" in loaded.split()
    heavy = {
        "asyncio",
        "halo_daemon.cli",
        "halo_daemon.config",
        "halo_daemon.findings",
        "structlog",
    }
    assert not heavy & set(loaded.decode().split())
