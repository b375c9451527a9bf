"""A finding's rate over the last windows, as a line with its interval around it."""

from collections.abc import Iterable
from typing import NamedTuple

from halo_daemon.analyzer.figures import percent
from halo_daemon.findings import Trend

_LEFT, _RIGHT = 32.0, 236.0
_TOP, _BOTTOM = 6.0, 62.0


class TrendLine(NamedTuple):
    """What is drawn in a box of 240 by 72; points as SVG writes them."""

    line: str
    band: str
    """Outline of the 95 % intervals; ``""`` where only rates are known."""
    last: tuple[float, float]
    """Place of this window."""
    top: float
    """The rate at the upper edge; the lower edge is 0."""
    label: str
    """The same in words."""


def trend_of(trend: Trend) -> TrendLine | None:
    """The line of *trend*, this window last; None for fewer than two windows."""
    rates = [row.affected / row.eligible if row.eligible else 0.0 for row in trend.points]
    intervals = [row.ci95 for row in trend.points]
    if len(rates) < 2:  # noqa: PLR2004 -- one rate is no line
        rates, intervals = list(trend.series), []
    if len(rates) < 2:  # noqa: PLR2004
        return None
    top = max([*rates, *(high for _, high in intervals)]) or 1.0
    line = _places(rates, top)
    band = [
        *_places([high for _, high in intervals], top),
        *reversed(_places([low for low, _ in intervals], top)),
    ]
    label = f"rate in {len(rates)} windows: {', '.join(percent(rate) for rate in rates)}"
    return TrendLine(_written(line), _written(band), line[-1], top, label)


def _places(rates: list[float], top: float) -> list[tuple[float, float]]:
    step = (_RIGHT - _LEFT) / max(1, len(rates) - 1)
    height = _BOTTOM - _TOP
    return [
        (round(_LEFT + place * step, 1), round(_BOTTOM - rate / top * height, 1))
        for place, rate in enumerate(rates)
    ]


def _written(places: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
