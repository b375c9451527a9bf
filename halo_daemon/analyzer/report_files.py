"""One report as the files that a run leaves behind."""

from collections.abc import Iterable

from halo_daemon.analyzer.brief import render_brief
from halo_daemon.analyzer.cited import cited_spans, span_lines
from halo_daemon.analyzer.render_html import render_html
from halo_daemon.analyzer.render_markdown import render_markdown
from halo_daemon.analyzer.waterfall import cited_traces
from halo_daemon.findings import TRACES_FILE, Report, split_rows, to_json
from halo_daemon.store.trace_reader import LoadTrace


def report_files(report: Report, load_trace: LoadTrace) -> dict[str, bytes | Iterable[bytes]]:
    """Every file of one report, by name; cited traces are loaded for what is drawn and copied."""
    spans = cited_spans(report, load_trace)
    page = render_html(report, cited_traces(report, load_trace), spans)
    document, rows = split_rows(report)
    return {
        **({TRACES_FILE: rows} if document.traces_file else {}),
        "report.json": to_json(document),
        "report.md": render_markdown(report).encode(),
        "report.html": page.encode(),
        "spans.jsonl": span_lines(spans),
        **{
            f"findings/{finding.finding_id}.md": render_brief(report, finding).encode()
            for finding in report.findings
        },
    }
