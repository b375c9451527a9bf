"""
Figures of one very large trace: ``python -m bench.store_large [--megabytes 300] [--days 1]``.

Writes a trace of long spans and one of short ones, and reads each of them: the first part,
and all parts one after the other. Every figure is of a process of its own.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from halo_daemon.store.paths import DataPaths, day_of, shard_stem
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.trace_reader import Window, trace_parts
from halo_daemon.testing.spans import TRACE_ID, make_line, span_id_of

NOW_UNIX_NS = 1_790_000_000_000_000_000
DAY_NS = 86_400 * 10**9
BARE_LINE_BYTES = 900
SPAN_CHARS = {"long spans": 100_000, "short spans": 10}


def write_trace(root: Path, *, size_bytes: int, chars: int, days: int) -> int:
    """Write the spans of one trace, spread over days of receipt; returns their number."""
    spans = size_bytes // (chars + BARE_LINE_BYTES)
    for number in range(days):
        received = NOW_UNIX_NS - number * DAY_NS
        day = DataPaths(root).project("bench").day(day_of(received))
        day.directory.mkdir(parents=True)
        with day.plain(shard_stem(received, worker=0, sequence=1)).open("wb") as shard:
            for place in range(number, spans, days):
                shard.write(
                    make_line(
                        span_id=span_id_of(place + 1),
                        parent_span_id="" if place == 0 else span_id_of(1),
                        start_unix_ns=NOW_UNIX_NS + place * 1_000,
                        attributes={"input.value": "x" * chars},
                    )
                )
    return spans


def measure(root: Path) -> None:
    """Print what reading the trace takes."""
    reader = LocalTraceReader(root, "bench", settle_s=60.0, now_unix_ns=lambda: NOW_UNIX_NS)
    begin = time.perf_counter()
    reader.overview(Window(0, 0))
    built = time.perf_counter()
    first = reader.load_trace(TRACE_ID)
    assert first is not None
    loaded, peak_of_first = time.perf_counter(), _peak_mib()
    shown = len(first.spans)
    del first
    spans = sum(len(part.spans) for part in trace_parts(reader.load_trace, TRACE_ID))
    read = time.perf_counter()
    reader.overview(Window(0, 2**62))
    asked = time.perf_counter()
    print(
        f"  index {built - begin:.1f} s; first part of {shown} spans {loaded - built:.1f} s,"
        f" peak {peak_of_first} MiB; all {spans} spans {read - loaded:.1f} s;"
        f" overview {(asked - read) * 1000:.0f} ms; peak {_peak_mib()} MiB"
    )


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        measure(options.measure)
        return
    for label, chars in SPAN_CHARS.items():
        with tempfile.TemporaryDirectory(prefix="halo-bench-") as name:
            size_bytes = options.megabytes * 10**6
            spans = write_trace(Path(name), size_bytes=size_bytes, chars=chars, days=options.days)
            print(f"{label}: {spans} of {chars + BARE_LINE_BYTES} bytes", flush=True)
            command = [sys.executable, "-m", "bench.store_large", "--measure", name]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
