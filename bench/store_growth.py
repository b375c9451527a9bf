"""
How the store's answers grow: ``python -m bench.store_growth [--spans 50000 200000 1000000 10000000]``.

Each size is spread over ten days, with a trace over each midnight. Prints a
table and, with ``--svg FILE``, draws it on logarithmic axes.
"""

import argparse
import math
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from halo_daemon.proto.times import format_unix_ns
from halo_daemon.store.filters import SpanFilter, TraceFilter
from halo_daemon.store.paths import DataPaths, day_of, shard_stem
from halo_daemon.store.query import SpanQuery, TraceQuery
from halo_daemon.store.query_engine import LocalQueries
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.receipts import encode_receipt
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.spans import make_line, span_id_of

DAYS = 10
DAY_NS = 86_400 * 10**9
BEGIN_NS = 1_789_948_800_000_000_000
SPANS_PER_TRACE = 10
SHARD_BYTES = 64 * 1024**2
TRACE_MARK, TIME_MARK = b"f" * 32, format_unix_ns(BEGIN_NS).encode()
EVERYTHING = Window(0, 2**62)
COLOURS = (
    "#0b7285", "#c92a2a", "#5f3dc4", "#2b8a3e", "#e67700", "#1864ab", "#a61e4d", "#495057",
)  # fmt: skip

Figures = dict[str, float]


def template() -> bytes:
    """The lines of one trace, with marks where traces differ."""
    return b"".join(
        make_line(
            trace_id=TRACE_MARK.decode(),
            span_id=span_id_of(place + 1),
            parent_span_id="" if place == 0 else span_id_of(1),
            name="step",
            start_unix_ns=BEGIN_NS,
            observation_kind=("AGENT", "LLM", "TOOL")[min(place, 1 + place % 2)],
            status_code="STATUS_CODE_ERROR" if place == SPANS_PER_TRACE - 1 else "STATUS_CODE_OK",
            attributes={"tool.name": "search", "inference.llm.model_name": f"m{place % 3}"},
        )
        for place in range(SPANS_PER_TRACE)
    )


def write(root: Path, spans: int) -> None:
    """Write ten days of shards."""
    lines = template()
    traces_a_day = spans // SPANS_PER_TRACE // DAYS
    project = DataPaths(root).project("bench")
    for number in range(DAYS):
        begin_ns = BEGIN_NS + number * DAY_NS
        day = project.day(day_of(begin_ns))
        day.directory.mkdir(parents=True)
        parts: list[bytes] = []
        sequence = size = 0
        for trace in range(traces_a_day + 1):
            is_last = trace == traces_a_day
            # The last trace of a day is the first one of the next.
            key = (number + 1) * 2**64 if is_last else number * 2**64 + trace
            trace_id = f"{key * 0x9E3779B97F4A7C15 % 2**128 | 1:032x}".encode()
            start = format_unix_ns(begin_ns + trace * DAY_NS // (traces_a_day + 1)).encode()
            parts.append(lines.replace(TRACE_MARK, trace_id).replace(TIME_MARK, start))
            size += len(parts[-1])
            if size > SHARD_BYTES or is_last:
                sequence += 1
                stem = shard_stem(begin_ns, worker=0, sequence=sequence)
                day.receipts(stem).write_bytes(encode_receipt(size, begin_ns + 1))
                day.plain(stem).write_bytes(b"".join(parts))
                parts, size = [], 0


def median_ms(action: Callable[[], object], repeat: int = 7) -> float:
    """Median wall time in milliseconds."""
    times = []
    for _ in range(repeat):
        begin = time.perf_counter()
        action()
        times.append((time.perf_counter() - begin) * 1000)
    return statistics.median(times)


def measure(root: Path) -> Figures:
    """Time each operation."""
    end_ns = BEGIN_NS + DAYS * DAY_NS
    reader = LocalTraceReader(root, "bench", settle_s=60.0, now_unix_ns=lambda: end_ns)
    queries = LocalQueries(
        root, "bench", now_unix_ns=lambda: end_ns, now_monotonic_s=time.monotonic
    )
    one_day = Window(BEGIN_NS + 5 * DAY_NS, BEGIN_NS + 6 * DAY_NS)
    failing = SpanFilter(tool_names=("search",), has_error=True)
    figures = {"index build": median_ms(lambda: reader.overview(Window(0, 0)), 1)}
    chosen = reader.list_traces(one_day, limit=1)[0].trace_id
    questions: dict[str, Callable[[], object]] = {
        "overview of one day": lambda: reader.overview(one_day),
        "overview of all": lambda: reader.overview(EVERYTHING),
        "page of 50 traces of one day": lambda: queries.query_traces(one_day, TraceQuery()),
        "page of 50 traces of all": lambda: queries.query_traces(EVERYTHING, TraceQuery()),
        "page of 50 failing traces of all": lambda: queries.query_traces(
            EVERYTHING, TraceQuery(filter=TraceFilter(any_span=(failing,)))
        ),
        "page of 50 failing spans of one day": lambda: queries.query_spans(
            one_day, SpanQuery(filter=failing)
        ),
        "load one trace": lambda: reader.load_trace(chosen),
    }
    figures |= {label: median_ms(question) for label, question in questions.items()}
    reader.close()
    queries.close()
    return figures


def draw(sizes: list[int], rows: list[Figures]) -> str:
    """The table as an SVG on logarithmic axes."""
    width, height, left, bottom = 780, 420, 88, 40
    values = [value for row in rows for value in row.values()]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    span = math.log10(sizes[-1] / sizes[0]) or 1

    def x(size: int) -> float:
        return left + math.log10(size / sizes[0]) / span * (width - left - 260)

    def y(value: float) -> float:
        return height - bottom - (math.log10(value) - low) / (high - low) * (height - 2 * bottom)

    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
    parts = [
        f'{opening} font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    parts += [
        f'<line x1="{left}" x2="{width - 250}" y1="{y(10**power):.1f}" y2="{y(10**power):.1f}"'
        f' stroke="#dee2e6"/><text x="8" y="{y(10**power) + 4:.1f}">{10.0**power:,.7g} ms</text>'
        for power in range(low, high + 1)
    ]
    parts += [f'<text x="{x(n) - 20:.1f}" y="{height - 12}">{n:,} spans</text>' for n in sizes]
    for place, label in enumerate(rows[0]):
        points = " ".join(
            f"{x(size):.1f},{y(row[label]):.1f}" for size, row in zip(sizes, rows, strict=True)
        )
        colour = COLOURS[place % len(COLOURS)]
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
    # From the bottom up, so that what stands close together is moved off the axis' names.
    next_y = height - bottom + 4.0
    ends = sorted((y(rows[-1][label]), place, label) for place, label in enumerate(rows[0]))
    for end, place, label in reversed(ends):
        label_y = min(end + 4, next_y)
        next_y = label_y - 15
        colour = COLOURS[place % len(COLOURS)]
        parts.append(f'<text x="{width - 240}" y="{label_y:.1f}" fill="{colour}">{label}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, nargs="+", default=[50_000, 200_000, 1_000_000])
    parser.add_argument("--svg", type=Path)
    options = parser.parse_args()
    rows = []
    for spans in options.spans:
        root = Path(tempfile.mkdtemp(prefix="halo-growth-"))
        try:
            write(root, spans)
            rows.append(measure(root))
        finally:
            shutil.rmtree(root)
    for label in rows[0]:
        print(f"{label:<38}" + "".join(f"{row[label]:>12.2f}" for row in rows))
    if options.svg:
        options.svg.write_text(draw(options.spans, rows))


if __name__ == "__main__":
    main()
