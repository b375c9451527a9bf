"""A report in each of its written forms, the same for `analyze` and for `report`."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from halo_daemon.findings import Report, Severity


class Form(StrEnum):
    """How a report is written."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "md"
    HTML = "html"
    SARIF = "sarif"
    JUNIT = "junit"


_BY_SUFFIX: Final = {
    ".txt": Form.TEXT,
    ".json": Form.JSON,
    ".md": Form.MARKDOWN,
    ".sarif": Form.SARIF,
    ".xml": Form.JUNIT,
}


def form_of(output: Path | None) -> Form:
    """The form that the name of the file to write asks for; HTML where it asks for none."""
    return _BY_SUFFIX.get(output.suffix.lower(), Form.HTML) if output else Form.HTML


def written(
    report: "Report",
    form: Form,
    *,
    fail_on: "Severity | None" = None,
    directory: Path | None = None,
) -> bytes:
    """
    Write *report* in one of its forms.

    *fail_on* is the severity from which JUnit counts a finding as a failure; high when
    None. Where *directory* holds the stored page, that is the HTML: it shows the traces
    as they were.
    """
    from halo_daemon.analyzer.render_html import render_html
    from halo_daemon.analyzer.render_junit import render_junit
    from halo_daemon.analyzer.render_markdown import render_markdown
    from halo_daemon.analyzer.render_sarif import render_sarif
    from halo_daemon.analyzer.render_text import render_text
    from halo_daemon.cli.output import printable
    from halo_daemon.cli.terminal import width_columns
    from halo_daemon.findings import to_json

    match form:
        case Form.JSON:
            return to_json(report)
        case Form.MARKDOWN:
            return render_markdown(report).encode()
        case Form.HTML:
            return _stored_page(directory) or render_html(report).encode()
        case Form.SARIF:
            return render_sarif(report)
        case Form.JUNIT:
            return render_junit(report, fail_on=fail_on or "high")
        case Form.TEXT:
            return printable(render_text(report, width=width_columns())).encode()


def _stored_page(directory: Path | None) -> bytes:
    """The page in *directory*; empty where there is none."""
    page = directory / "report.html" if directory else None
    return page.read_bytes() if page and page.is_file() else b""
