"""The line of a trend and the band around it."""

from halo_daemon.analyzer.ledger_entries import entries_of
from halo_daemon.analyzer.memory import Memory
from halo_daemon.analyzer.render_html import render_html
from halo_daemon.analyzer.trend_line import trend_of
from halo_daemon.findings import Trend, TrendPoint, fold
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import report_of

NIGHT_NS = 86_400_000_000_000


def point(affected, eligible, low, high):
    """One window."""
    return TrendPoint(at="2026-11-20", affected=affected, eligible=eligible, ci95=(low, high))


def test_one_window_is_no_line():
    """Nothing is drawn where there is nothing to compare with."""
    assert trend_of(Trend(series=(0.5,))) is None
    assert trend_of(Trend(series=(0.5,), points=(point(1, 2, 0.1, 0.9),))) is None


def test_rates_without_counts_have_no_band():
    """Records of an older version are drawn as a line; rates of nought lie on the ground."""
    drawn = trend_of(Trend(series=(0.0, 0.5, 0.25)))
    flat = trend_of(Trend(series=(0.0, 0.0)))

    assert (drawn.line, drawn.band, drawn.top) == ("32.0,62.0 134.0,6.0 236.0,34.0", "", 0.5)
    assert drawn.last == (236.0, 34.0)
    assert (flat.line, flat.top) == ("32.0,62.0 236.0,62.0", 1.0)


def test_the_band_goes_around_the_line():
    """Upper bounds from left to right, lower bounds back; the highest bound is the edge."""
    drawn = trend_of(Trend(points=(point(1, 4, 0.0, 0.5), point(2, 4, 0.25, 1.0))))

    assert drawn.line == "32.0,48.0 236.0,34.0"
    assert drawn.band == "32.0,34.0 236.0,6.0 236.0,48.0 32.0,62.0"
    assert drawn.label == "rate in 2 windows: 25 %, 50 %"


def test_three_nights_are_three_points_in_the_page():
    """Counts come from the ledger, this window last, and the page draws their band."""
    report, entries = None, []
    for night, failed in enumerate((2, 3, 9)):
        scripts = []
        for place in range(20):
            script = TraceScript(1 + 100 * night + place).model("Look.")
            error = "IndexError: closed" if place < failed else ""
            scripts.append(script.tool("search", {"q": place}, result="x", error=error))
        window = Window(night * NIGHT_NS, (night + 1) * NIGHT_NS)
        memory = Memory(fold(entries))
        report = report_of(scripts, window=window, previous=report, memory=memory)
        entries += entries_of(report, memory.histories)

    (finding,) = report.findings
    assert [(row.at[-2:], row.affected, row.eligible) for row in finding.trend.points] == [
        ("02", 3, 20),
        ("03", 9, 20),
    ]
    assert finding.trend.points[-1].ci95 == finding.counts.ci95
    assert "<polygon points=" in render_html(report)
