"""
How an analysis grows: ``python -m bench.analyze_growth [--spans 10000 … 1000000] [--svg FILE]``.

Every size is written, indexed and analysed by a process of its own, so that peak
memory is that size's alone. Prints a table with processor time divided by the spans,
which is flat where growth is linear, and draws wall-clock time and memory on logarithmic axes.
"""

import argparse
import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
WIDTH, HEIGHT = 920, 360
PANEL_WIDTH, LEFT, TOP, BOTTOM = 300, 62, 40, 310
COLOURS = ("#1864ab", "#e67700", "#2b8a3e")

Figures = dict[str, float]


class Panel(NamedTuple):
    """One of the two drawings: a figure over the number of spans."""

    title: str
    unit: str
    column: str
    left: int


PANELS = (
    Panel("Analysis, reading included", "s", "analysis_s", LEFT),
    Panel("Peak memory, all processes", "MiB", "peak_mib", LEFT + PANEL_WIDTH + 160),
)


def measure(spans: int, processes: int) -> Figures:
    """Run `bench.analyze` for one size in a process of its own."""
    command = [sys.executable, "-m", "bench.analyze", "--json"]
    command += ["--spans", str(spans), "--processes", str(processes)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    figures: Figures = orjson.loads(done.stdout)
    return figures


def draw(series: Sequence[Sequence[Figures]]) -> str:
    """Time and memory over size, one line for each number of processes."""
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
    parts = [
        f'{opening} font-family="sans-serif" font-size="12" role="img">',
        "<title>Time and memory of an analysis over the number of spans</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for panel in PANELS:
        parts += _panel(panel, series)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(panel: Panel, series: Sequence[Sequence[Figures]]) -> list[str]:
    sizes = sorted({row["spans"] for rows in series for row in rows})
    values = [row[panel.column] for rows in series for row in rows]
    x = _scale(sizes[0], sizes[-1], panel.left, panel.left + PANEL_WIDTH)
    low = 10 ** math.floor(math.log10(min(values)))
    high = 10 ** math.ceil(math.log10(max(values)))
    y = _scale(low, high, BOTTOM, TOP + 10)
    parts = [f'<text x="{panel.left}" y="20" font-weight="bold">{panel.title}</text>']
    for power in range(round(math.log10(low)), round(math.log10(high)) + 1):
        height = y(10**power)
        parts.append(
            f'<line x1="{panel.left}" x2="{panel.left + PANEL_WIDTH}" y1="{height:.1f}"'
            f' y2="{height:.1f}" stroke="#dee2e6"/>'
            f'<text x="{panel.left - 8}" y="{height + 4:.1f}" text-anchor="end">'
            f"{10**power:g} {panel.unit}</text>"
        )
    parts += [
        f'<text x="{x(size):.1f}" y="{BOTTOM + 20}" text-anchor="middle">{_short(size)}</text>'
        for size in sizes
    ]
    parts.append(
        f'<text x="{panel.left + PANEL_WIDTH / 2}" y="{BOTTOM + 40}" text-anchor="middle">spans</text>'
    )
    for rows, colour in zip(series, COLOURS, strict=False):
        points = [(x(row["spans"]), y(row[panel.column])) for row in rows]
        line = " ".join(f"{across:.1f},{down:.1f}" for across, down in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{across:.1f}" cy="{down:.1f}" r="3" fill="{colour}"/>'
            for across, down in points
        ]
    return [*parts, *_names(panel, series, y)]


def _names(
    panel: Panel, series: Sequence[Sequence[Figures]], y: Callable[[float], float]
) -> list[str]:
    """Which line is which, beside their ends and never one upon another."""
    parts, lowest = [], 0.0
    ends = [
        (y(rows[-1][panel.column]), int(rows[0]["processes"]), colour)
        for rows, colour in zip(series, COLOURS, strict=False)
    ]
    for end, processes, colour in sorted(ends):
        lowest = max(end + 4, lowest + 15)
        name = "1 process" if processes == 1 else f"{processes} processes"
        across = panel.left + PANEL_WIDTH + 10
        parts.append(f'<text x="{across}" y="{lowest:.1f}" fill="{colour}">{name}</text>')
    return parts


def _scale(low: float, high: float, begin: float, end: float) -> Callable[[float], float]:
    length = math.log10(high / low) or 1.0
    return lambda value: begin + math.log10(value / low) / length * (end - begin)


def _short(spans: float) -> str:
    return f"{spans / 1e6:.2g}M" if spans >= 999_000 else f"{round(spans / 1000):g}k"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--svg", type=Path)
    options = parser.parse_args()
    print(
        f"{'processes':>9}{'spans':>11}{'index s':>9}{'analysis s':>12}{'cpu us/span':>13}{'MiB':>8}"
    )
    series = []
    for processes in options.processes:
        rows = []
        for spans in sorted(options.spans):
            row = measure(spans, processes)
            rows.append(row)
            print(
                f"{processes:>9}{row['spans']:>11,.0f}{row['index_s']:>9.2f}"
                f"{row['analysis_s']:>12.2f}{row['analysis_cpu_s'] / row['spans'] * 1e6:>13.1f}"
                f"{row['peak_mib']:>8.0f}",
                flush=True,
            )
        series.append(rows)
    if options.svg:
        options.svg.write_text(draw(series), "utf-8")


if __name__ == "__main__":
    main()
