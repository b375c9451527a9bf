"""What leaves: lines that come back as they went, and rows that other engines read."""

import subprocess
import sys

import orjson
import pytest
from hypothesis import given, settings, strategies as st

from halo_daemon.errors import ConfigError
from halo_daemon.exchange.export_parquet import write_parquet
from halo_daemon.exchange.exports import chrome_trace, halo_lines, otlp_json_lines
from halo_daemon.exchange.import_batches import EVER, Gathering, ImportSummary
from halo_daemon.exchange.imports import project_namer
from halo_daemon.exchange.incoming import Request
from halo_daemon.proto.redact_line import masked
from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace
from halo_daemon.testing.memory_sink import MemorySink
from halo_daemon.testing.spans import TRACE_ID, make_line, span_id_of

VALUE = st.recursive(
    st.fixed_dictionaries({"stringValue": st.text(max_size=8)})
    | st.fixed_dictionaries({"boolValue": st.booleans()})
    | st.fixed_dictionaries({"intValue": st.integers(-(2**63), 2**63 - 1).map(str)})
    | st.fixed_dictionaries({"doubleValue": st.floats(allow_nan=False, allow_infinity=False)})
    | st.just({}),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda values: {"arrayValue": {"values": values}})
        | st.dictionaries(st.text(min_size=1, max_size=4), inner, max_size=3).map(
            lambda pairs: {"kvlistValue": {"values": keyed(pairs)}}
        )
    ),
    max_leaves=6,
)


def keyed(pairs: dict[str, object]) -> list[dict[str, object]]:
    """A mapping as a list of ``KeyValue``."""
    return [{"key": key, "value": value} for key, value in pairs.items()]


ATTRIBUTES = st.dictionaries(
    st.sampled_from(["a", "llm.model_name", "input.value", "tool.name", "é", "x.y"]),
    VALUE,
    max_size=4,
).map(keyed)
NANOS = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([0, 2**63, 2**64 - 1])).map(str)
SPAN = st.fixed_dictionaries(
    {
        "traceId": st.just(TRACE_ID),
        "spanId": st.integers(1, 9).map(span_id_of),
        "name": st.text(max_size=6),
        "kind": st.integers(0, 7),
        "startTimeUnixNano": NANOS,
        "endTimeUnixNano": NANOS,
        "attributes": ATTRIBUTES,
        "status": st.fixed_dictionaries(
            {"code": st.integers(0, 4), "message": st.text(max_size=4)}
        ),
        "flags": st.integers(0, 0x3FF),
        "traceState": st.sampled_from(["", "a=b"]),
        "droppedAttributesCount": st.integers(0, 3),
        "events": st.lists(
            st.fixed_dictionaries(
                {"timeUnixNano": NANOS, "name": st.text(max_size=4), "attributes": ATTRIBUTES}
            ),
            max_size=2,
        ),
        "links": st.lists(
            st.fixed_dictionaries(
                {
                    "traceId": st.just(TRACE_ID),
                    "spanId": st.just(span_id_of(3)),
                    "attributes": ATTRIBUTES,
                }
            ),
            max_size=2,
        ),
    }
)
SCOPE = st.fixed_dictionaries(
    {
        "scope": st.fixed_dictionaries(
            {"name": st.text(max_size=4), "version": st.text(max_size=3), "attributes": ATTRIBUTES}
        ),
        "schemaUrl": st.sampled_from(["", "https://x/1.2"]),
        "spans": st.lists(SPAN, min_size=1, max_size=4),
    }
)
REQUEST = st.fixed_dictionaries(
    {
        "resourceSpans": st.lists(
            st.fixed_dictionaries(
                {
                    "resource": st.fixed_dictionaries({"attributes": ATTRIBUTES}),
                    "schemaUrl": st.sampled_from(["", "https://x/1.1"]),
                    "scopeSpans": st.lists(SCOPE, min_size=1, max_size=2),
                }
            ),
            min_size=1,
            max_size=2,
        )
    }
)


async def imported(*bodies: bytes) -> list[Span]:
    """Spans of OTLP/JSON requests, as they are stored in one project."""
    sink = MemorySink()
    gathering = Gathering(project_namer("p", "x"), EVER, ImportSummary())
    for body in bodies:
        gathering.take(Request(body), "test")
    await gathering.store(sink.accept)
    return sink.spans("p")


@given(REQUEST)
@settings(max_examples=150, deadline=None)
def test_any_stored_line_comes_back_from_otlp_json(request):
    """Exporting whatever was stored, and importing it, gives the same lines."""
    import asyncio  # noqa: PLC0415 -- a property cannot be a coroutine

    async def both() -> tuple[list[bytes], list[bytes]]:
        stored = await imported(orjson.dumps(request))
        trace = Trace.merge(stored)
        exported = b"".join(otlp_json_lines([trace], unmasked=True)).splitlines()
        again = await imported(*exported)
        wanted = [span.to_line() for span in trace.spans]
        return wanted, [span.to_line() for span in again]

    wanted, found = asyncio.run(both())

    assert sorted(found) == sorted(wanted)


def test_masking_touches_no_id_and_no_time():
    """Digits that look like a card number stay where they name a span."""
    card_like = "4111111111111111"
    line = orjson.loads(
        make_line(span_id=card_like, parent_span_id=card_like, attributes={"n": card_like})
    )

    found = masked(line)

    assert (found["span_id"], found["parent_span_id"]) == (card_like, card_like)
    assert found["attributes"]["n"] == "[redacted:card]"
    assert list(found) == list(line)


def trace_of(*lines: bytes) -> Trace:
    """One trace."""
    return Trace.merge([Span.from_line(line) for line in lines])


def test_halo_lines_are_the_stored_ones():
    """Without secrets in it a line leaves byte by byte as it was stored."""
    line = make_line()

    assert b"".join(halo_lines([trace_of(line)])) == line


def test_a_chrome_trace_names_its_process_and_tracks():
    """Every event has what the format asks for; tracks have names."""
    document = orjson.loads(chrome_trace(trace_of(make_line(), make_line(span_id=span_id_of(7)))))

    phases = [event["ph"] for event in document["traceEvents"]]
    assert phases.count("X") == 2
    names = {event["name"] for event in document["traceEvents"] if event["ph"] == "M"}
    assert names == {"process_name", "thread_name"}
    assert all(
        {"name", "ph", "pid", "tid", "ts"} <= event.keys() for event in document["traceEvents"]
    )


def test_parquet_has_one_row_a_span_by_project_and_day(tmp_path):
    """Days have files of their own; times are integers, attributes JSON text."""
    pq = pytest.importorskip("pyarrow.parquet", reason="the extra `parquet` is not installed")
    day_ns = 86_400 * 10**9
    spans = [
        make_line(span_id=span_id_of(1), start_unix_ns=day_ns, end_unix_ns=day_ns + 5),
        make_line(
            span_id=span_id_of(2),
            start_unix_ns=3 * day_ns,
            end_unix_ns=3 * day_ns + 7,
            attributes={"output.value": "done", "n": [1, {"k": None}]},
        ),
    ]
    target = tmp_path / "out"

    rows = write_parquet([trace_of(*spans)], "shop", target)

    files = sorted(str(path.relative_to(target)) for path in target.rglob("*.parquet"))
    assert files == [
        "project=shop/day=1970-01-02/part-00000.parquet",
        "project=shop/day=1970-01-04/part-00000.parquet",
    ]
    assert rows == 2
    (row,) = pq.ParquetFile(target / files[1]).read().to_pylist()
    assert (row["span_id"], row["start_unix_ns"], row["duration_ns"]) == (
        span_id_of(2),
        3 * day_ns,
        7,
    )
    assert row["output"] == "done"
    assert orjson.loads(row["attributes"])["n"] == [1, {"k": None}]
    with pytest.raises(ConfigError, match="holds something"):
        write_parquet([], "shop", target)


def test_without_pyarrow_the_extra_is_named():
    """The message says what is missing, the hint how to get it."""
    script = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from halo_daemon.cli import main; sys.argv[1:] = ['export', 'parquet', '-o', 'x']; main()"
    )

    ended = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )

    assert ended.returncode == 2
    assert "pyarrow is not installed" in ended.stderr
    assert "Try: pip install 'halo-daemon[parquet]'" in ended.stderr
