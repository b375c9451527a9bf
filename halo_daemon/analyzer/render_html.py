"""The report as one HTML file that works from disk, without scripts and without a network."""

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources

import jinja2
from markupsafe import Markup

from halo_daemon.analyzer import figures
from halo_daemon.analyzer.changes import changes_beside
from halo_daemon.analyzer.cited import CitedSpan, SpanKey
from halo_daemon.analyzer.safe_text import clean, segments
from halo_daemon.analyzer.trend_line import trend_of
from halo_daemon.analyzer.waterfall import waterfall_of
from halo_daemon.findings import Report, Severity, short_ids, to_json
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


def render_html(
    report: Report,
    traces: Mapping[str, Trace] | None = None,
    spans: Mapping[SpanKey, CitedSpan] | None = None,
) -> str:
    """
    Write *report* as one self-contained page.

    Every word out of a trace is escaped and has its invisible characters dropped;
    the page's own policy forbids scripts and every request. Findings whose trace is
    in *traces* show the steps around their evidence; quotes whose span is in *spans*
    open it. The record itself is in the page as data, without its rows of traces.
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
        points=figures.points,
        listed_otherwise=figures.listed_otherwise,
        release_difference=figures.release_difference,
        affected=figures.affected,
        cost=figures.cost,
        association=figures.association,
        chance=figures.chance,
        change=figures.change,
        decision_in_words=figures.decision_in_words,
        duration=figures.duration,
        short_count=figures.short_count,
        state_of=figures.state_of,
        waterfalls={
            finding.finding_id: waterfall_of(finding, traces or {}) for finding in report.findings
        },
        trend_of=trend_of,
        beside={row.finding_id: changes_beside(report, row) for row in report.findings},
        spans=spans or {},
        record=_record(report),
    )


def _record(report: Report) -> Markup:
    """The record for a block of data, which nothing in it can end."""
    fields = json.loads(to_json(report.model_copy(update={"traces": ()})))
    # ASCII alone: nobody's invisible characters stand in the page, not even as data.
    document = json.dumps(fields, separators=(",", ":"))
    # Such characters stand in texts only, where JSON's escape means the same.
    for character in "&<>\x7f":
        document = document.replace(character, f"\\u{ord(character):04x}")
    return Markup(document)  # noqa: S704 -- nothing is left in it that HTML would read


def _visible_segments(title: str) -> list[tuple[bool, str]]:
    return segments(clean(title))
