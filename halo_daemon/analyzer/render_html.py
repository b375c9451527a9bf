"""The report as one HTML file that works from disk, without scripts and without a network."""

from collections.abc import Mapping
from functools import cache
from importlib import resources

import jinja2

from halo_daemon.analyzer import figures
from halo_daemon.analyzer.safe_text import clean, segments
from halo_daemon.analyzer.waterfall import trend_points, waterfall_of
from halo_daemon.findings import Report, Severity, short_ids
from halo_daemon.proto.trace import Trace

_SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low", "info")
_ICONS: dict[Severity, str] = {
    "critical": "◆",
    "high": "▲",
    "medium": "●",
    "low": "▽",
    "info": "○",
}


@cache
def _template() -> jinja2.Template:
    source = resources.files("halo_daemon.analyzer").joinpath("templates/report.html.j2")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source.read_text(encoding="utf-8"))


def render_html(report: Report, traces: Mapping[str, Trace] | None = None) -> str:
    """
    Write *report* as one self-contained page.

    Every word out of a trace is escaped and has its invisible characters dropped;
    the page's own policy forbids scripts and every request. Findings whose trace is
    in *traces* show the steps around their evidence.
    """
    shown = (*report.findings, *report.weak_signals)
    return _template().render(
        report=report,
        names=short_ids(finding.finding_id for finding in shown),
        severities=_SEVERITIES,
        icons=_ICONS,
        clean=clean,
        segments=_visible_segments,
        moment=figures.day_and_minute,
        percent=figures.percent,
        affected=figures.affected,
        cost=figures.cost,
        duration=figures.duration,
        short_count=figures.short_count,
        waterfalls={
            finding.finding_id: waterfall_of(finding, traces or {}) for finding in report.findings
        },
        trend_points=trend_points,
    )


def _visible_segments(title: str) -> list[tuple[bool, str]]:
    return segments(clean(title))
