"""Shared steps of the analyzer's tests: examine traces, analyse them as a window."""

from halo_daemon.analyzer.miner import mine
from halo_daemon.analyzer.run import RunInfo, analyze_window
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.memory_reader import MemoryReader

RUN = RunInfo(
    "r_20261120T100000Z_0001", "run_1", 1_795_000_000_000_000_000, command="halo-daemon analyze"
)
WINDOW = Window(0, 2**62)


def observed(*scripts, **settings):
    """Rules and subjects of everything observed in the scripts' traces."""
    known = mine([script.build() for script in scripts], MinerSettings(**settings))
    return {
        (key.rule, key.subject)
        for key, group in known.groups.items()
        if any(not hit.is_weak for hit in group.hits.values())
    }


def reader_of(scripts, *, received_unix_ns=1):
    """A reader that holds the scripts' spans, received in order."""
    reader = MemoryReader()
    for script in scripts:
        for span in script.spans():
            reader.add(span, received_unix_ns=received_unix_ns)
    return reader


def report_of(scripts, *, window=WINDOW, **options):
    """The report of a window that holds the scripts' traces."""
    reader = reader_of(scripts, received_unix_ns=window.from_unix_ns + 1)
    return analyze_window(reader, project="support", window=window, run=RUN, **options)
