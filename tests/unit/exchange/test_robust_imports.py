"""What files of strangers do, and how an import gets over it."""

import base64
import errno
import gzip
import io
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
from backports import zstd
from google.protobuf.json_format import ParseDict
from hypothesis import given, settings, strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from halo_daemon.exchange.files import open_input
from halo_daemon.exchange.import_batches import ImportSummary, StartWindow
from halo_daemon.exchange.import_state import ImportState
from halo_daemon.exchange.imports import Import, rotations
from halo_daemon.exchange.incoming import Input
from halo_daemon.exchange.json_records import json_records
from halo_daemon.exchange.recognise import PARQUET, recognise
from halo_daemon.testing.memory_sink import MemorySink
from halo_daemon.testing.spans import TRACE_ID, make_line, span_id_of


def phoenix_span(number: int, **fields: object) -> dict[str, object]:
    """One span as Phoenix writes it."""
    return {
        "name": f"span {number}",
        "context": {"trace_id": TRACE_ID, "span_id": span_id_of(number)},
        "span_kind": "CHAIN",
        "start_time": "2026-01-01T00:00:01Z",
        "end_time": "2026-01-01T00:00:02Z",
        "attributes": {},
        **fields,
    }


def otlp_line(number: int) -> bytes:
    """One request with one span."""
    span = {
        "traceId": TRACE_ID,
        "spanId": span_id_of(number),
        "name": "work",
        "startTimeUnixNano": str(number * 10**9),
        "endTimeUnixNano": str(number * 10**9 + 5),
    }
    return orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})


class Imports:
    """Imports into one memory, with one state."""

    def __init__(self, path: Path) -> None:
        self.sink = MemorySink()
        self._state = path / "imports.jsonl"

    async def run(self, source: str, *files: Path, **options: object) -> ImportSummary:
        """Import files as a new process would."""
        state = ImportState(self._state)
        return await Import(
            source=source, accept=self.sink.accept, project="p", state=state, **options
        ).run(files)

    def span_ids(self) -> list[str]:
        """Ids of what was stored, in order, repetitions included."""
        return [span.span_id for span in self.sink.spans("p")]


FORMS = {
    "lines": lambda records: b"\n".join(records) + b"\n",
    "list": lambda records: b"[" + b",".join(records) + b"]",
    "pretty list": lambda records: orjson.dumps(
        [orjson.loads(record) for record in records], option=orjson.OPT_INDENT_2
    ),
    "answer": lambda records: b'{"data":[' + b",".join(records) + b'],"next_cursor":null}',
    "one after the other": b" ".join,
}


@pytest.mark.parametrize("form", FORMS)
async def test_every_frame_around_records_gives_the_same_spans(tmp_path, form):
    """Lines, lists, answers and objects one after the other hold the same spans."""
    path = tmp_path / "spans.json"
    path.write_bytes(FORMS[form]([orjson.dumps(phoenix_span(number)) for number in range(1, 6)]))
    imports = Imports(tmp_path)

    summary = await imports.run("phoenix", path)

    assert imports.span_ids() == [span_id_of(number) for number in range(1, 6)]
    assert not summary.skipped


@pytest.mark.parametrize("form", ["lines", "list"])
@pytest.mark.parametrize(
    "bad",
    [b'{"context":{"trace_id":', b'{"a":nope}', b'{"a":"b', b"7", b"{}", b'{"context":[1]}'],
)
async def test_a_bad_record_in_the_middle_costs_only_itself(tmp_path, form, bad):
    """What comes before and after a damaged record is stored, and the damage is named."""
    if form == "list" and bad.count(b"{") != bad.count(b"}"):
        bad += b"\n"  # an unclosed bracket swallows a list up to the next break, not beyond
    records = [orjson.dumps(phoenix_span(1)), bad, orjson.dumps(phoenix_span(2))]
    path = tmp_path / "spans.json"
    path.write_bytes(FORMS[form](records))
    imports = Imports(tmp_path)

    summary = await imports.run("phoenix", path)

    assert span_id_of(1) in imports.span_ids()
    assert sum(summary.skipped.values()) >= 1 or form == "list"
    if form == "lines":
        assert imports.span_ids() == [span_id_of(1), span_id_of(2)]


@pytest.mark.parametrize("cut", [1, 10, 60, 200])
@pytest.mark.parametrize("form", ["lines", "list", "pretty list", "answer"])
async def test_a_truncated_file_gives_what_is_whole(tmp_path, form, cut):
    """A file that ends in the middle of a record loses that record only."""
    records = [orjson.dumps(phoenix_span(number)) for number in range(1, 6)]
    path = tmp_path / "spans.json"
    path.write_bytes(FORMS[form](records)[:-cut])
    imports = Imports(tmp_path)

    await imports.run("phoenix", path)

    assert len(imports.span_ids()) >= 3


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(
            orjson.dumps(phoenix_span(2, attributes={"a": "X"})).replace(b"X", rb"\ud83d"),
            id="half-a-surrogate-pair",
        ),
        pytest.param(
            orjson.dumps(phoenix_span(2, attributes={"a": 1})).replace(b'"a":1', b'"a":NaN'),
            id="nan",
        ),
        pytest.param(
            orjson.dumps(phoenix_span(2, attributes={"a": 1})).replace(
                b'"a":1', b'"a":' + b"[" * 200 + b"]" * 200
            ),
            id="nested-200-deep",
        ),
        pytest.param(orjson.dumps(phoenix_span(2, end_time="9999-12-31T23:59:59Z")), id="far-end"),
        pytest.param(orjson.dumps(phoenix_span(2, start_time="0001-01-01T00:00:00Z")), id="year-1"),
        pytest.param(orjson.dumps(phoenix_span(2, name=None, attributes=[1])), id="wrong-types"),
        pytest.param(orjson.dumps(phoenix_span(2, start_time="2026-02-31T00:00:00Z")), id="no-day"),
    ],
)
async def test_odd_values_cost_no_span(tmp_path, record):
    """What other writers leave in a value is mended or flagged, and its neighbours stay."""
    path = tmp_path / "spans.jsonl"
    path.write_bytes(orjson.dumps(phoenix_span(1)) + b"\n" + record + b"\n")
    imports = Imports(tmp_path)

    await imports.run("phoenix", path)

    assert sorted(imports.span_ids()) == [span_id_of(1), span_id_of(2)]


async def test_one_otlp_span_of_wrong_types_costs_only_itself(tmp_path):
    """A request that cannot be decoded whole is decoded span by span."""
    request = orjson.loads(otlp_line(1))
    spans = request["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans += [{**spans[0], "spanId": span_id_of(2), "startTimeUnixNano": {}}]
    spans += [{**spans[0], "spanId": span_id_of(3)}]
    path = tmp_path / "traces.jsonl"
    path.write_bytes(orjson.dumps(request))
    imports = Imports(tmp_path)

    summary = await imports.run("otlp", path)

    assert imports.span_ids() == [span_id_of(1), span_id_of(3)]
    assert (summary.rejected_spans, summary.skipped["malformed_span"]) == (1, 1)


@pytest.mark.parametrize(
    ("head", "source"),
    [
        (otlp_line(1), "otlp"),
        (b'{"resourceMetrics":[]}', "otlp"),
        (make_line(), "halo"),
        (orjson.dumps(phoenix_span(1)), "phoenix"),
        (orjson.dumps({"data": [phoenix_span(1)], "next_cursor": None}), "phoenix"),
        (orjson.dumps([phoenix_span(1)], option=orjson.OPT_INDENT_2), "phoenix"),
        (b'{"schema_version":"ATIF-v1.2","session_id":"x","agent":{},"steps":[]}', "atif"),
        (b'{"info":{"trace_id":"tr-1"},"data":{"spans":[]}}', "mlflow"),
        (b'{"object":"trace","id":"trace_1","workflow_name":"w"}', "openai-agents"),
        (b'{"timestamp":"t","type":"session_meta","payload":{"id":"x"}}', "codex"),
        (b'{"type":"message","role":"user","content":[]}', "codex"),
        (b'{"type":"summary","summary":"x","leafUuid":"y"}', "claude-code"),
        (b'{"parentUuid":null,"type":"user","sessionId":"s","uuid":"u"}', "claude-code"),
        (b'{"id":"o","traceId":"t","type":"SPAN","startTime":"x"}', "langfuse"),
        (b'{"id":"r","trace_id":"t","run_type":"llm"}', "langsmith"),
        (b"\0\0\0\x05\x0a\x01\x02\x03\x04", "otlp"),
        (b"\0\0\0\x05\x28\xb5\x2f\xfd\x04", "otlp"),
        (b"PAR1....", PARQUET),
        (b"hello", ""),
        (b'{"a":{"b', ""),
        (b"", ""),
    ],
)
def test_files_are_told_apart_by_content(head, source):
    """The first bytes tell the source; what is of none is not guessed."""
    assert recognise(head) == source


async def test_a_file_of_another_source_is_not_read_as_this_one(tmp_path):
    """Nothing is stored of it, and the summary says what it is; `auto` takes it."""
    path = tmp_path / "spans.jsonl"
    path.write_bytes(make_line())
    imports = Imports(tmp_path)

    refused = await imports.run("otlp", path)
    taken = await imports.run("auto", path)

    assert refused.skipped == {"is halo, not otlp": 1}
    assert refused.has_failed
    assert taken.accepted_spans == 1


async def test_a_file_that_grew_is_read_from_where_it_ended(tmp_path):
    """Only what was appended is stored, also when the last line was torn the first time."""
    path = tmp_path / "traces.jsonl"
    imports = Imports(tmp_path)
    third = otlp_line(3)
    path.write_bytes(otlp_line(1) + b"\n" + otlp_line(2) + b"\n" + third[:20])

    first = await imports.run("otlp", path, resume=True)
    path.write_bytes(path.read_bytes() + third[20:] + b"\n")
    second = await imports.run("otlp", path, resume=True)
    third_run = await imports.run("otlp", path, resume=True)

    assert imports.span_ids() == [span_id_of(1), span_id_of(2), span_id_of(3)]
    assert first.skipped == {"cut off": 1}
    assert (second.accepted_spans, dict(second.skipped)) == (1, {})
    assert (third_run.accepted_spans, third_run.unchanged_files) == (0, 1)


async def test_halo_lines_appended_to_a_short_file_are_not_lost(tmp_path):
    """A group of lines that was not full the first time hides nothing the second time."""
    path = tmp_path / "spans.jsonl"
    imports = Imports(tmp_path)
    path.write_bytes(make_line(span_id=span_id_of(1)))
    await imports.run("halo", path, resume=True)
    path.write_bytes(path.read_bytes() + make_line(span_id=span_id_of(2)))

    await imports.run("halo", path, resume=True)

    assert imports.span_ids() == [span_id_of(1), span_id_of(2)]


async def test_a_rotated_file_is_read_to_its_end_under_its_new_name(tmp_path):
    """Between two looks the file was renamed and a new one begun: no line is lost or doubled."""
    path = tmp_path / "traces.jsonl"
    path.write_bytes(otlp_line(1) + b"\n")
    sink = MemorySink()
    run = Import(
        source="otlp",
        accept=sink.accept,
        project="p",
        state=ImportState(tmp_path / "imports.jsonl"),
    )
    looks = 0

    async def sleep() -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise InterruptedError
        with path.open("ab") as file:
            file.write(otlp_line(2) + b"\n")
        path.rename(tmp_path / "traces-2026-11-20T10-00-00.000.jsonl")
        path.write_bytes(otlp_line(3) + b"\n" + otlp_line(4)[:30])

    with pytest.raises(InterruptedError):
        await run.follow([path], sleep)

    assert [span.span_id for span in sink.spans("p")] == [span_id_of(n) for n in (1, 2, 3)]
    assert not run.summary.skipped
    assert rotations(path) == [tmp_path / "traces-2026-11-20T10-00-00.000.jsonl"]


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress, bytes], ids=["gz", "zst", "plain"])
async def test_an_import_that_broke_off_goes_on_where_it_stopped(tmp_path, pack):
    """Every batch is stored once, wherever the first run was ended, also in packed files."""
    path = tmp_path / "traces"
    path.write_bytes(pack(b"".join(otlp_line(number) + b"\n" for number in range(1, 8))))
    sink = MemorySink()
    for _ in range(4):
        left = 2

        async def accept(batches: Sequence) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise ConnectionAbortedError
            await sink.accept(batches)

        run = Import(
            source="otlp",
            accept=accept,
            project="p",
            state=ImportState(tmp_path / "imports.jsonl"),
            resume=True,
            batch_bytes=1,
        )
        try:
            await run.run([path])
        except ConnectionAbortedError:
            continue

    assert [span.span_id for span in sink.spans("p")] == [span_id_of(n) for n in range(1, 8)]


async def test_a_window_selects_by_start(tmp_path):
    """`from` is included, `to` is not; what is outside is counted."""
    path = tmp_path / "traces.jsonl"
    path.write_bytes(b"".join(otlp_line(number) + b"\n" for number in range(1, 6)))
    imports = Imports(tmp_path)

    summary = await imports.run("otlp", path, window=StartWindow(2 * 10**9, 4 * 10**9))

    assert imports.span_ids() == [span_id_of(2), span_id_of(3)]
    assert summary.outside_spans == 3


async def test_what_cannot_be_opened_does_not_stop_the_others(tmp_path):
    """One file of many that cannot be read is counted."""
    good = tmp_path / "good.jsonl"
    good.write_bytes(otlp_line(1))
    imports = Imports(tmp_path)

    summary = await imports.run("otlp", tmp_path / "gone", good)

    assert summary.accepted_spans == 1
    assert summary.skipped == {"cannot be read": 1}


@pytest.mark.parametrize("source", ["otlp", "auto"])
@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(b"\x1f\x8b\x08\x00" + b"garbage " * 4, id="gzip"),
        pytest.param(gzip.compress(otlp_line(1))[:20], id="gzip-cut-short"),
        pytest.param(b"\x28\xb5\x2f\xfd" + b"garbage", id="zstd"),
    ],
)
async def test_compression_that_is_damaged_from_its_start_costs_one_file(tmp_path, source, packed):
    """Nothing can be read of it, not even of what source it is; the next file is stored."""
    damaged, good = tmp_path / "damaged.jsonl", tmp_path / "good.jsonl"
    damaged.write_bytes(packed)
    good.write_bytes(otlp_line(1))

    summary = await Imports(tmp_path).run(source, damaged, good)

    assert summary.accepted_spans == 1
    assert summary.skipped == {"damaged compression, the rest was not read": 1}


class _FailingFile(io.FileIO):
    """A file of which the disk gives the first block only."""

    def readinto(self, buffer):
        """Read at the start; refuse from there on."""
        if self.tell():
            raise OSError(errno.EIO, "Input/output error")
        return super().readinto(buffer)


async def test_what_the_disk_refused_is_read_by_the_next_import(tmp_path, monkeypatch):
    """A file that did not change since is not done with before it was read to its end."""
    path = tmp_path / "t.jsonl"
    numbers = range(1, 3_001)
    path.write_bytes(b"".join(otlp_line(number) + b"\n" for number in numbers))
    imports = Imports(tmp_path)
    open_file = Path.open

    def failing(self, mode="r", buffering=-1, **options):
        if self == path and buffering > 1:
            return io.BufferedReader(_FailingFile(self), buffering)
        return open_file(self, mode, buffering, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", failing)
        first = await imports.run("otlp", path)
    second = await imports.run("otlp", path, resume=True)

    assert first.skipped == {"cannot be read to its end": 1}
    assert 0 < first.accepted_spans < len(numbers)
    assert second.skipped == {}
    assert imports.span_ids() == [span_id_of(number) for number in numbers]


def records_of(data: bytes) -> list[object]:
    """What the file holds, read as records."""
    source = Input(io.BufferedReader(io.BytesIO(data)), "x")
    return [record.value for record in json_records(source)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(alphabet='a"\\{}[]\n,:é', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(alphabet='k"{', max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.lists(st.dictionaries(st.text(max_size=3), JSON, max_size=3), max_size=8))
@settings(max_examples=200)
def test_any_frame_gives_back_the_same_objects(objects):
    """Whatever strings and brackets they hold, objects come out as they went in."""
    texts = [orjson.dumps(one) for one in objects]

    assert records_of(b"\n".join(texts)) == objects
    assert records_of(orjson.dumps(objects)) == objects
    assert records_of(orjson.dumps(objects, option=orjson.OPT_INDENT_2)) == objects


@given(st.binary(max_size=200) | st.text(alphabet='{}[]":,\n a1', max_size=80).map(str.encode))
@settings(max_examples=300)
def test_no_bytes_end_the_reading_of_records(data):
    """Garbage gives records or complaints, never an exception."""
    records_of(data)
    recognise(data)


def test_a_record_longer_than_a_block_is_read_whole(tmp_path):
    """A string of many blocks, in a list, is one record, and so is the next."""
    path = tmp_path / "list.json"
    path.write_bytes(orjson.dumps([{"a": "x\\" * 1_000_000}, {"b": 1}]))

    with open_input(path) as source:
        records = list(json_records(source))

    assert [len(record.value) for record in records if record.value] == [1, 1]


MLFLOW_SHAPES = {
    "2": {
        "context": {"trace_id": "0x" + TRACE_ID, "span_id": "0x" + span_id_of(2)},
        "parent_id": "0x" + span_id_of(1),
        "start_time": 5,
        "end_time": 9,
        "status_code": "ERROR",
        "status_message": "boom",
    },
    "3": {
        "trace_id": base64.b64encode(bytes.fromhex(TRACE_ID)).decode(),
        "span_id": base64.b64encode(bytes.fromhex(span_id_of(2))).decode(),
        "parent_span_id": base64.b64encode(bytes.fromhex(span_id_of(1))).decode(),
        "start_time_unix_nano": 5,
        "end_time_unix_nano": "9",
        "status": {"code": "STATUS_CODE_ERROR", "message": "boom"},
    },
    "4": {
        "mlflow_version": 4,
        "trace_id": "tr-1",
        "otel_trace_id": TRACE_ID,
        "span_id": span_id_of(2),
        "parent_span_id": span_id_of(1),
        "start_time_unix_nano": 5,
        "end_time_unix_nano": 9,
        "status": {"code": "STATUS_CODE_ERROR", "message": "boom"},
    },
}


@pytest.mark.parametrize("shape", MLFLOW_SHAPES)
async def test_mlflow_spans_of_all_three_shapes_agree(tmp_path, shape):
    """Ids in hex or base64, times as numbers or text, values quoted twice: one span."""
    attributes = {
        "mlflow.spanType": '"CHAT_MODEL"',
        "mlflow.spanInputs": '{"q":1}',
        "mlflow.spanOutputs": '"text"',
        "mlflow.chat.tokenUsage": '{"input_tokens":3,"output_tokens":1}',
    }
    span = {"name": "ask", "attributes": attributes, **MLFLOW_SHAPES[shape]}
    path = tmp_path / "trace.json"
    path.write_bytes(orjson.dumps({"info": {"state": "OK"}, "data": {"spans": [span, 7]}}))
    imports = Imports(tmp_path)

    summary = await imports.run("mlflow", path)

    (found,) = imports.sink.spans("p")
    assert (found.trace_id, found.span_id, found.parent_span_id) == (
        TRACE_ID,
        span_id_of(2),
        span_id_of(1),
    )
    assert (found.start_unix_ns, found.end_unix_ns, found.status_message) == (5, 9, "boom")
    assert (found.observation_kind, found.input_tokens) == ("LLM", 3)
    assert (found.text("input.value"), found.text("output.value")) == ('{"q":1}', "text")
    assert summary.skipped == {"not a span": 1}


async def test_langsmith_runs_become_spans(tmp_path):
    """The chat is in the metadata, an open run has no end, and errors are errors."""
    root = {
        "id": "11111111-1111-1111-1111-111111111111",
        "trace_id": "11111111-1111-1111-1111-111111111111",
        "name": "chain",
        "run_type": "chain",
        "start_time": "2026-01-01T00:00:00.000001",
        "session_id": "project",
        "status": "pending",
        "prompt_tokens": 7,
        "extra": {"metadata": {"thread_id": "chat"}},
    }
    answer = {
        **root,
        "id": "22222222-2222-2222-2222-222222222222",
        "parent_run_id": root["id"],
        "name": "ChatX",
        "run_type": "llm",
        "end_time": "2026-01-01T00:00:01",
        "status": "error",
        "error": "rate limited",
        "completion_tokens": 2,
        "extra": {"metadata": {"thread_id": "chat", "ls_model_name": "m"}},
    }
    path = tmp_path / "runs.json"
    path.write_bytes(orjson.dumps({"runs": [answer, root], "cursors": {}}))
    imports = Imports(tmp_path)

    await imports.run("langsmith", path)

    opened, called = sorted(imports.sink.spans("p"), key=lambda span: span.start_unix_ns)
    if opened.observation_kind != "CHAIN":
        opened, called = called, opened
    assert (opened.is_complete, opened.session_id, opened.input_tokens) == (False, "chat", None)
    assert opened.attributes["halo.aggregate.input_tokens"] == 7
    assert (called.model, called.input_tokens, called.status_message) == ("m", 7, "rate limited")
    assert called.parent_span_id == opened.span_id


LONE_REQUEST = """
{"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value":
{"stringValue": "p"}}]}, "scopeSpans": [{"spans": [{"traceId": "AQEBAQEBAQEBAQEBAQEBAQ==",
"spanId": "AgICAgICAgI=", "name": "n", "startTimeUnixNano": "1764547200000000000",
"endTimeUnixNano": "1764547201000000000"}]}]}]}
"""


@pytest.mark.parametrize("source", ["otlp", "auto"])
async def test_a_single_protobuf_request_is_a_file(tmp_path, source):
    """A captured request body is imported as it is, once, and one that is cut is told."""
    body = ParseDict(orjson.loads(LONE_REQUEST), ExportTraceServiceRequest()).SerializeToString()
    whole, cut = tmp_path / "whole.pb", tmp_path / "cut.pb"
    whole.write_bytes(body)
    cut.write_bytes(body[:-3])
    sink = MemorySink()

    summary = await Import(source=source, accept=sink.accept).run([whole, cut])

    assert summary.accepted_spans == 1
    assert summary.skipped.total() == 1
