"""Frames of Phoenix and bulk exports of LangSmith, read from Parquet."""

import asyncio
from decimal import Decimal

import pytest

from halo_daemon.exchange.import_state import ImportState
from halo_daemon.exchange.imports import Import
from halo_daemon.testing.memory_sink import MemorySink

pa = pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
pq = pytest.importorskip("pyarrow.parquet", reason="the extra `parquet` is not installed")

ERROR = "STATUS_CODE_ERROR"
NANOS = pa.timestamp("ns", tz="UTC")
START_NS = 1_788_000_000_123_456_789


def phoenix_frame(rows=3):
    """Spans as `get_spans_dataframe` has them, indexed by span, with counts as floats."""
    return pa.table(
        {
            "name": [f"call {n}" for n in range(rows)],
            "span_kind": ["AGENT"] + ["LLM"] * (rows - 1),
            "parent_id": [None] + [f"{1:016x}"] * (rows - 1),
            "start_time": pa.array([START_NS + n for n in range(rows)], NANOS),
            "end_time": pa.array([START_NS + 10**9] * rows, NANOS),
            "status_code": ["OK"] * (rows - 1) + ["ERROR"],
            "status_message": [""] * (rows - 1) + ["it broke"],
            "events": [[] for _ in range(rows)],
            "context.trace_id": [f"{7:032x}"] * rows,
            "attributes.llm.token_count.prompt": [None] + [12.0] * (rows - 1),
            "attributes.llm.input_messages": [None]
            + [[{"message": {"role": "user", "content": "hi"}}]] * (rows - 1),
            "attributes.input.value": [f"q {n}" for n in range(rows)],
            "__index_level_0__": [f"{n + 1:016x}" for n in range(rows)],
        }
    )


def langsmith_export():
    """Runs as a bulk export has them: objects as text, no parent but in the order."""
    root, child = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
    at = "20260901T000000000000Z"
    return pa.table(
        {
            "id": [root, child],
            "trace_id": [root, root],
            "dotted_order": [f"{at}{root}", f"{at}{root}.{at}{child}"],
            "name": ["agent", "search"],
            "run_type": ["chain", "tool"],
            "start_time": pa.array([START_NS // 1000, START_NS // 1000 + 1], pa.timestamp("us")),
            "end_time": pa.array([START_NS // 1000 + 5] * 2, pa.timestamp("us")),
            "inputs": ['{"q": 1}', '{"q": 2}'],
            "outputs": ['{"a": 1}', None],
            "error": [None, "Timeout"],
            "extra": ['{"metadata": {"thread_id": "chat"}}', "{}"],
            "status": ["success", "error"],
            "total_cost": pa.array([Decimal("0.25"), None], pa.decimal128(10, 4)),
        }
    )


async def imported(source, path, **options):
    """What an import stored of a file, by name of the span, and its summary."""
    sink = MemorySink()
    summary = await Import(source=source, accept=sink.accept, project="p", **options).run([path])
    spans = sink.spans("p") if summary.accepted_spans else []
    return {span.name: span for span in spans}, summary


@pytest.mark.parametrize("source", ["phoenix", "auto"])
async def test_a_frame_of_phoenix_is_read_row_by_row(tmp_path, source):
    """Ids, times to the nanosecond, nested attributes, counts and errors are those of the rows."""
    path = tmp_path / "spans.parquet"
    pq.write_table(phoenix_frame(), path)

    spans, summary = await imported(source, path)

    assert (summary.accepted_spans, dict(summary.skipped)) == (3, {})
    root, call, broken = (spans[f"call {n}"] for n in range(3))
    assert (call.trace_id, call.span_id, call.parent_span_id) == (
        f"{7:032x}",
        f"{2:016x}",
        root.span_id,
    )
    assert call.start_unix_ns == START_NS + 1
    assert call.input_tokens == 12
    assert call.text("llm.input_messages.0.message.content") == "hi"
    assert (broken.status_code, broken.status_message) == (ERROR, "it broke")
    assert root.input_tokens is None


@pytest.mark.parametrize("source", ["langsmith", "auto"])
async def test_an_export_of_langsmith_is_read_row_by_row(tmp_path, source):
    """Objects that are text are read, and a parent is found in the order of the run."""
    path = tmp_path / "part-0.parquet"
    pq.write_table(langsmith_export(), path)

    spans, summary = await imported(source, path)

    assert (summary.accepted_spans, dict(summary.skipped)) == (2, {})
    agent, search = spans["agent"], spans["search"]
    assert search.parent_span_id == agent.span_id
    assert search.status_code == ERROR
    assert agent.text("input.value") == '{"q": 1}'
    assert agent.text("session.id") == "chat"
    assert agent.start_unix_ns == START_NS // 1000 * 1000


async def test_rows_that_are_stored_are_not_read_again(tmp_path):
    """An import that ends in the middle goes on behind the rows that were stored."""
    path = tmp_path / "spans.parquet"
    pq.write_table(phoenix_frame(5_000), path, row_group_size=700)
    state_path = tmp_path / "imports.jsonl"
    sink = MemorySink()
    seen = 0

    async def accept(batches):
        nonlocal seen
        if seen >= 2_000:
            raise asyncio.CancelledError
        await sink.accept(batches)
        seen += sum(batch.spans for batch in batches)

    options = {"project": "p", "batch_bytes": 1}
    with pytest.raises(asyncio.CancelledError):
        await Import(source="auto", accept=accept, state=ImportState(state_path), **options).run(
            [path]
        )
    resumed, summary = await imported(
        "auto", path, state=ImportState(state_path), resume=True, batch_bytes=1
    )
    _, again = await imported("auto", path, state=ImportState(state_path), resume=True)

    names = {span.name for span in sink.spans("p")} | set(resumed)
    assert len(names) == 5_000
    assert summary.accepted_spans == 5_000 - 2_000
    assert again.unchanged_files == 1


@pytest.mark.parametrize(
    ("source", "kept", "reason"),
    [
        pytest.param("phoenix", 900, "damaged Parquet", id="cut"),
        pytest.param("phoenix", 4, "damaged Parquet", id="nothing-but-its-mark"),
        pytest.param("auto", 900, "of no source", id="cut-and-of-any-source"),
        pytest.param("otlp", None, "not read as otlp", id="of-another-source"),
    ],
)
async def test_a_file_that_cannot_be_read_is_counted(tmp_path, source, kept, reason):
    """Damage and files of other sources are told, and raise nothing."""
    path = tmp_path / "spans.parquet"
    pq.write_table(phoenix_frame(), path)
    path.write_bytes(path.read_bytes()[:kept])

    spans, summary = await imported(source, path)

    assert spans == {}
    assert any(reason in told for told in summary.skipped)


async def test_a_row_without_ids_costs_nothing_but_itself(tmp_path):
    """Rows before and behind it are stored."""
    table = phoenix_frame()
    ids = pa.array([f"{7:032x}", None, f"{7:032x}"])
    place = table.schema.get_field_index("context.trace_id")
    pq.write_table(table.set_column(place, "context.trace_id", ids), tmp_path / "s.parquet")

    spans, summary = await imported("phoenix", tmp_path / "s.parquet")

    assert set(spans) == {"call 0", "call 2"}
    assert summary.skipped["not a span"] == 1
