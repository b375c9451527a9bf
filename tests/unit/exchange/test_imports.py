"""Importing files: their forms, what is bad in them, and where an import goes on."""

import gzip
import io
import struct
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
from backports import zstd
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from halo_daemon.errors import ConfigError, HaloError
from halo_daemon.exchange.exports import chrome_trace, halo_lines, otlp_json_lines
from halo_daemon.exchange.import_state import ImportState
from halo_daemon.exchange.imports import Import, files_below
from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace
from halo_daemon.testing.canonical_line import check_line
from halo_daemon.testing.memory_sink import MemorySink
from halo_daemon.testing.spans import START_UNIX_NS, TRACE_ID, make_line, span_id_of
from tests.unit.exchange.importing import OTLP_LINE, OTLP_REQUEST, imported


def protobuf_request() -> bytes:
    """The same request in protobuf."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    attribute = resource.resource.attributes.add(key="service.name")
    attribute.value.string_value = "shop"
    resource.scope_spans.add().spans.add(
        trace_id=bytes.fromhex(TRACE_ID),
        span_id=bytes.fromhex(span_id_of(1)),
        name="work",
        start_time_unix_nano=5,
        end_time_unix_nano=9,
    )
    return request.SerializeToString()


def framed(*records: bytes) -> bytes:
    """Records behind their lengths."""
    return b"".join(struct.pack(">I", len(record)) + record for record in records)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(OTLP_LINE + b"\n", id="json-line"),
        pytest.param(b"\xef\xbb\xbf" + OTLP_LINE, id="byte-order-mark-and-no-newline"),
        pytest.param(OTLP_LINE + b"\r\n\r\n", id="crlf"),
        pytest.param(orjson.dumps(OTLP_REQUEST, option=orjson.OPT_INDENT_2), id="indented"),
        pytest.param(orjson.dumps([OTLP_REQUEST]), id="list"),
        pytest.param(gzip.compress(OTLP_LINE), id="gzip"),
        pytest.param(zstd.compress(OTLP_LINE), id="zstd"),
        pytest.param(framed(protobuf_request()), id="framed-protobuf"),
        pytest.param(framed(zstd.compress(protobuf_request())), id="framed-zstd-protobuf"),
        pytest.param(framed(zstd.compress(OTLP_LINE)), id="framed-zstd-json"),
        pytest.param(zstd.compress(framed(protobuf_request())), id="zstd-of-framed-protobuf"),
    ],
)
async def test_every_form_of_otlp_file_gives_the_same_span(tmp_path, data):
    """Whatever the file exporter was set to, the span is the same."""
    path = tmp_path / "traces"
    path.write_bytes(data)

    summary, projects = await imported("otlp", path)

    assert (summary.accepted_spans, dict(summary.skipped)) == (1, {})
    (span,) = projects["shop"]
    assert (span.trace_id, span.name, span.start_unix_ns, span.end_unix_ns) == (
        TRACE_ID,
        "work",
        5,
        9,
    )


async def test_bad_records_are_counted_and_quoted(tmp_path):
    """Torn lines, other signals and bad ids cost nothing but themselves."""
    path = tmp_path / "traces.jsonl"
    bad_id = orjson.dumps(OTLP_REQUEST).replace(TRACE_ID.encode(), b"0" * 32)
    path.write_bytes(
        b"\n".join([OTLP_LINE, b'{"resourceMetrics":[]}', b'{"a":1}', bad_id, OTLP_LINE[:40]])
    )

    summary, _ = await imported("otlp", path)

    assert summary.accepted_spans == 1
    assert summary.rejected_spans == 1
    assert summary.skipped == {
        "metrics, not traces": 1,
        "not an OTLP request": 1,
        "invalid_trace_id": 1,
        "cut off": 1,
    }
    assert summary.examples["cut off"].endswith("traces.jsonl, line 5")


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress], ids=["gzip", "zstd"])
async def test_a_cut_archive_gives_what_it_holds(tmp_path, compress):
    """A compressed file that ends too early is read as far as it goes, and told."""
    noise = orjson.dumps({"a": [hash(str(n)) for n in range(200_000)]})
    data = compress(OTLP_LINE + b"\n" + noise + b"\n")
    path = tmp_path / "traces"
    path.write_bytes(data[: len(data) * 2 // 3])

    summary, _ = await imported("otlp", path)

    assert summary.accepted_spans == 1
    assert sum(summary.skipped.values()) == 1


async def test_an_export_imports_to_the_same_lines(tmp_path):
    """Lines go out as HALO JSONL and as OTLP JSON, and come in again unchanged."""
    lines = [make_line(span_id=span_id_of(number)) for number in range(1, 4)]
    sink = MemorySink()
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"".join(lines))
    await Import(source="halo", accept=sink.accept, project="default").run([path])
    trace = Trace.merge(sink.spans("default"))

    for source, form in (("halo", halo_lines), ("otlp", otlp_json_lines)):
        path.write_bytes(b"".join(form([trace])))
        again = MemorySink()
        await Import(source=source, accept=again.accept, project="default").run([path])
        assert again.lines("default") == sink.lines("default")


def test_halo_lines_add_up():
    """HALO adds up all spans: a call around another one states its tokens as a total."""
    lines = [
        make_line(
            span_id=span_id_of(number),
            parent_span_id=span_id_of(number - 1) if number > 1 else "",
            observation_kind="LLM",
            attributes={"inference.llm.input_tokens": 7, "openinference.span.kind": "LLM"},
        )
        for number in (1, 2)
    ]
    trace = Trace.merge(map(Span.from_line, lines))

    outer, inner = map(orjson.loads, halo_lines([trace]))

    check_line(orjson.dumps(outer, option=orjson.OPT_APPEND_NEWLINE))
    assert outer["attributes"]["inference.llm.input_tokens"] is None
    assert outer["attributes"]["halo.aggregate.input_tokens"] == 7
    assert inner["attributes"]["inference.llm.input_tokens"] == 7
    assert trace.spans[0].input_tokens == 7


async def test_halo_lines_that_other_tools_wrote_are_taken(tmp_path):
    """Foreign ids, short times with a zone, null messages and missing scopes cost no span."""
    line = orjson.loads(make_line())
    line |= {
        "trace_id": "trace-1",
        "span_id": "b",
        "parent_span_id": "a",
        "start_time": "2026-01-01T02:00:00.5+02:00",
        "end_time": "2026-01-01T00:00:01Z",
        "status": {"code": "STATUS_CODE_OK", "message": None, "more": 1},
    }
    del line["scope"]
    root = line | {"span_id": "a", "parent_span_id": None}
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"\n".join([orjson.dumps(line), orjson.dumps(root), b"{}"]))

    summary, projects = await imported("halo", path, project="p")

    child, parent = projects["p"]
    assert summary.skipped == {"not a HALO span": 1}
    assert child.parent_span_id == parent.span_id
    assert child.duration_ns == 5 * 10**8
    assert child.attributes["import.halo.trace_id"] == "trace-1"


async def test_an_interrupted_import_goes_on_where_it_stopped(tmp_path):
    """Records that were stored are not sent again, also by a new process."""
    path = tmp_path / "traces.jsonl"
    path.write_bytes((OTLP_LINE + b"\n") * 5)
    sink = MemorySink()
    left = 2

    async def failing(batches: Sequence) -> None:
        nonlocal left
        if not left:
            raise HaloError("full")
        left -= 1
        await sink.accept(batches)

    state_file = tmp_path / "imports.jsonl"
    with pytest.raises(HaloError, match="full"):
        await Import(
            source="otlp", accept=failing, batch_bytes=1, state=ImportState(state_file)
        ).run([path])
    summary = await Import(
        source="otlp", accept=sink.accept, state=ImportState(state_file), resume=True
    ).run([path])

    assert summary.accepted_spans == 3
    assert len(sink.spans("shop")) == 5


async def test_an_import_by_content_goes_on_in_the_middle_of_a_file(tmp_path):
    """What a file is was told by its start, and is known when reading begins further on."""
    path = tmp_path / "traces.jsonl"
    path.write_bytes(OTLP_LINE + b"\n")
    sink = MemorySink()
    state = ImportState(tmp_path / "imports.jsonl")
    await Import(source="auto", accept=sink.accept, state=state).run([path])
    path.write_bytes(path.read_bytes() * 2)

    summary = await Import(source="auto", accept=sink.accept, state=state, resume=True).run([path])

    assert (summary.accepted_spans, dict(summary.skipped)) == (1, {})


async def test_another_file_of_the_same_name_is_read_from_its_start(tmp_path):
    """A rotated file has the old name and other contents; nothing of it is skipped."""
    path = tmp_path / "traces.jsonl"
    path.write_bytes(OTLP_LINE)
    sink = MemorySink()
    state = ImportState(tmp_path / "imports.jsonl")
    await Import(source="otlp", accept=sink.accept, state=state).run([path])
    path.write_bytes(OTLP_LINE.replace(b"work", b"play"))

    summary = await Import(source="otlp", accept=sink.accept, state=state, resume=True).run([path])

    assert summary.accepted_spans == 1


@pytest.mark.parametrize("source", ["otlp", "halo", "phoenix", "langfuse", "openai-agents",
                                    "claude-code", "codex", "atif", "langsmith", "mlflow", "auto"])  # fmt: skip
@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"\0" * 100, b"[]", b"{}", b"null", b"[1,[],{}]", b'{"a":', b"\xff\xfe" * 50,
     b'{"type":"user"}\n{"type":1}\n[]', b'{"agent":1,"steps":{}}', b'{"agent":{},"steps":[1]}'],
)  # fmt: skip
async def test_no_input_ends_an_import(tmp_path, source, data):
    """Whatever a file holds, importing it ends with a summary and without spans of nothing."""
    path = tmp_path / "x"
    path.write_bytes(data)

    summary, _ = await imported(source, path)

    assert summary.files == 1


async def test_an_unknown_source_is_told_with_those_there_are():
    """The message lists what can be imported."""
    with pytest.raises(ConfigError, match="`nope`") as caught:
        await Import(source="nope", accept=MemorySink().accept).run([])

    assert "claude-code" in caught.value.hint


def test_directories_are_walked_without_links(tmp_path):
    """Files below come in order; a link to elsewhere is not followed; a missing one is told."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2").touch()
    (tmp_path / "1").touch()
    (tmp_path / "link").symlink_to("/etc/passwd")

    assert files_below([tmp_path]) == [tmp_path / "1", tmp_path / "b" / "2"]
    with pytest.raises(HaloError, match="no such file"):
        files_below([tmp_path / "nope"])


def test_parallel_spans_stand_on_tracks_of_their_own():
    """In a Chrome trace, spans on one track never cross each other's bounds."""
    spans = [
        Span.from_line(
            make_line(
                span_id=span_id_of(number),
                parent_span_id=span_id_of(1) if number > 1 else "",
                start_unix_ns=START_UNIX_NS + begin,
                end_unix_ns=START_UNIX_NS + end,
                attributes={"input.value": "secret"},
            )
        )
        for number, begin, end in ((1, 0, 100), (2, 10, 60), (3, 20, 50), (4, 40, 90), (5, 95, 99))
    ]

    data = chrome_trace(Trace.merge(spans))

    events = [one for one in orjson.loads(data)["traceEvents"] if one["ph"] == "X"]
    for one in events:
        for other in events:
            if one is other or one["tid"] != other["tid"] or one["ts"] > other["ts"]:
                continue
            ends_before = one["ts"] + one["dur"] <= other["ts"]
            holds = other["ts"] + other["dur"] <= one["ts"] + one["dur"]
            assert ends_before or holds
    assert b"secret" not in data
    assert len({event["tid"] for event in events}) == 2


def test_streams_are_read_from_stdin(monkeypatch):
    """A dash names the standard input."""
    from halo_daemon.exchange.files import lines, open_input  # noqa: PLC0415 -- beside its use

    class Stdin:
        buffer = io.BufferedReader(io.BytesIO(b"a\nb"))

    monkeypatch.setattr("sys.stdin", Stdin)

    with open_input(Path("-")) as source:
        assert [line.text for line in lines(source)] == [b"a", b"b"]
