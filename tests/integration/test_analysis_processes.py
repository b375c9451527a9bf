from functools import partial

from bench.faults.catalogue import MODES, runs
from halo_daemon.analyzer.run import RunInfo, analyze_window
from halo_daemon.findings import to_json
from halo_daemon.store.trace_reader import Window
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


def test_two_processes_write_the_same_report_as_one():
    """Real child processes, the same bytes."""
    opened = partial(open_reader, 100)
    reader = opened()

    alone = analyze_window(reader, project="p", window=WINDOW, run=RUN)
    both = analyze_window(
        reader, project="p", window=WINDOW, run=RUN, open_reader=opened, processes=2
    )

    assert to_json(both) == to_json(alone)
