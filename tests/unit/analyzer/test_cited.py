"""Copies of cited spans, and large reports, beside the record."""

import json
from html.parser import HTMLParser

import pytest

from halo_daemon.analyzer.cited import MAX_TEXT_CHARS, cited_spans, span_lines
from halo_daemon.analyzer.render_html import render_html
from halo_daemon.analyzer.run import RunInfo, analyze_window
from halo_daemon.analyzer.verify import verify_findings
from halo_daemon.findings import MAX_ROWS_INSIDE, TraceRow, from_json, split_rows, to_json
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.memory_reader import MemoryReader
from halo_daemon.testing.spans import START_UNIX_NS
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import reader_of, report_of
from tests.unit.analyzer.test_rendering import hostile

EVERYTHING = Window(0, 2**63)
SECRET = "sk-proj-" + "a1B2c3D4e5F6g7H8i9J0" * 2


def failing(result=""):
    """Five traces with an error, whose model says a secret and something long."""
    return [
        TraceScript(n)
        .model(f"My key is {SECRET}. " + "long " * 4_000, calls=[("search", {"q": n})])
        .tool("search", {"q": n}, error=f"TimeoutError: no answer {result}")
        .model("x")
        .answer("x")
        for n in range(1, 6)
    ]


def test_every_cited_span_is_copied_with_its_place_in_the_trace():
    """Each quote of the report finds its span among the copies, with the path down to it."""
    scripts = failing()
    report = report_of(scripts)

    copies = cited_spans(report, reader_of(scripts).load_trace)

    rows = [row for finding in report.findings for row in finding.evidence]
    assert rows
    assert {(row.trace_id, row.span_id) for row in rows} == set(copies)
    symptom = next(row for row in rows if row.role == "symptom")
    copy = copies[symptom.trace_id, symptom.span_id]
    assert copy.path == ("run", "search")
    assert (copy.before, copy.after) == ("chat", "chat")


def test_copies_hold_no_secret_and_are_bounded():
    """A secret in a cited span is masked, a long text cut; each line is a span in JSON."""
    scripts = failing()
    copies = cited_spans(report_of(scripts), reader_of(scripts).load_trace)

    lines = list(span_lines(copies))

    assert SECRET.encode() not in b"".join(lines)
    assert {json.loads(line)["span_id"] for line in lines} == {key[1] for key in copies}
    assert max(len(line) for line in lines) < 4 * MAX_TEXT_CHARS


def test_a_trace_that_is_gone_costs_its_copies_alone():
    """Retention may have taken cited traces; the rest is copied and the page written."""
    scripts = failing()
    report = report_of(scripts)
    kept = reader_of(scripts[:2])

    copies = cited_spans(report, kept.load_trace)

    assert {trace_id for trace_id, _ in copies} <= {script.trace_id for script in scripts[:2]}
    assert "The span" in render_html(report, {}, copies)


class _Record(HTMLParser):
    """Collects the block of data, and every tag that a browser would see."""

    def __init__(self):
        super().__init__()
        self.tags, self.inside, self.text = [], False, ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.inside = ("id", "halo-report") in attrs

    def handle_endtag(self, _tag):
        self.inside = False

    def handle_data(self, data):
        self.text += data if self.inside else ""


@pytest.mark.parametrize("report", [hostile(), report_of(failing("</script><b>"))])
def test_the_page_holds_its_record_whatever_traces_say(report):
    """The block of data is the report without rows; no word in it ends the block."""
    page = _Record()

    page.feed(render_html(report))

    assert from_json(page.text.encode()) == report.model_copy(update={"traces": ()})
    assert page.tags.count("script") == 1


def rows(number):
    """That many rows of traces."""
    return tuple(TraceRow(trace_id=f"{place:032x}", risk=0.5) for place in range(number))


@pytest.mark.parametrize(
    ("number", "inside", "beside"),
    [(MAX_ROWS_INSIDE, MAX_ROWS_INSIDE, 0), (MAX_ROWS_INSIDE + 1, 0, MAX_ROWS_INSIDE + 1)],
)
def test_more_rows_than_ten_thousand_stand_in_a_file_of_their_own(number, inside, beside):
    """Up to the limit rows are in the record; above it all are beside it, one a line."""
    report = report_of(failing()).model_copy(update={"traces": rows(number)})

    document, lines = split_rows(report)

    written = [TraceRow.model_validate_json(line) for line in lines]
    assert (len(document.traces), len(written)) == (inside, beside)
    assert document.traces_file == ("traces.jsonl" if beside else None)
    assert written == list(rows(number) if beside else ())
    assert from_json(to_json(document)) == document


def test_a_quote_behind_the_first_part_of_a_large_trace_is_found():
    """Evidence is looked up, and copied, wherever in its trace it stands."""
    scripts = failing()
    report = report_of(scripts)
    small = MemoryReader(max_answer_bytes=2_000)
    for trace in reader_of(scripts).iter_traces(EVERYTHING):
        for span in trace.spans:
            small.add(span, received_unix_ns=span.start_unix_ns)

    copies = cited_spans(report, small.load_trace)
    verified = verify_findings(report.findings, small.load_trace)

    assert {key: copy.fields for key, copy in copies.items()} == {
        key: copy.fields for key, copy in cited_spans(report, reader_of(scripts).load_trace).items()
    }
    assert [finding.verified for finding in verified] == [f.verified for f in report.findings]
    assert any(finding.verified for finding in verified)


def test_a_trace_examined_in_part_is_told():
    """A report counts the traces of which only the beginning was read, with the setting."""
    small = MemoryReader(max_answer_bytes=2_000)
    for trace in reader_of(failing()).iter_traces(EVERYTHING):
        for span in trace.spans:
            small.add(span, received_unix_ns=span.start_unix_ns)

    report = analyze_window(
        small, project="p", window=EVERYTHING, run=RunInfo("r_1", "run-1", START_UNIX_NS)
    )

    (cut,) = [row for row in report.data_quality if row.code == "cut_trace"]
    assert (cut.count, cut.of) == (5, 5)
    assert "storage.max_answer" in cut.fix
