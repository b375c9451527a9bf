"""Files with damage near their start, other encodings and numbers that JSON has not."""

import gzip
import sys

import orjson
import pytest

from halo_daemon.testing.spans import span_id_of, trace_id_of
from tests.unit.exchange.importing import OTLP_LINE, imported

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DAMAGED = "damaged compression, the rest was not read"


def request(*numbers: int, attributes: bytes = b"[]") -> bytes:
    """One request with a span for each number."""
    spans = [
        b'{"traceId":"%s","spanId":"%s","name":"n%d","startTimeUnixNano":"5",'
        b'"endTimeUnixNano":"9","attributes":%s}'
        % (trace_id_of(1).encode(), span_id_of(number).encode(), number, attributes)
        for number in numbers
    ]
    return b'{"resourceSpans":[{"scopeSpans":[{"spans":[%s]}]}]}' % b",".join(spans)


LINES = b"".join(request(number) + b"\n" for number in range(1, 2_000))


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(request(1) + b"\n") + b"\0\0\0\0junk",
        gzip.compress(LINES)[:-20],
        zstd.compress(LINES)[:-20],
        zstd.compress(request(1) + b"\n") + b"\x28\xb5\x2f\xfdjunk",
    ],
    ids=["junk behind gzip", "gzip cut off", "zstd cut off", "junk behind zstd"],
)
async def test_what_stands_before_damage_is_imported_from_small_files_too(tmp_path, packed):
    """Damage that the first look at a file meets costs what is behind it, and says so."""
    path = tmp_path / "traces.json"
    path.write_bytes(packed)

    summary, projects = await imported("otlp", path, project="p")

    assert summary.skipped[DAMAGED] == 1
    assert len(projects["p"]) >= 1


async def test_utf_16_is_told_by_its_name(tmp_path):
    """What a shell of Windows wrote is not called damaged JSON."""
    path = tmp_path / "traces.json"
    path.write_bytes(OTLP_LINE.decode().encode("utf-16"))

    summary, _ = await imported("otlp", path)

    assert summary.skipped == {"is UTF-16, and only UTF-8 is read": 1}


@pytest.mark.parametrize(
    "value",
    [b'{"doubleValue":NaN}', b'{"doubleValue":1e999}', b'{"stringValue":"a\xffb"}'],
)
async def test_a_value_that_json_has_not_costs_no_span(tmp_path, value):
    """Python writes NaN, and tools cut text within a letter; the spans of the request stay."""
    attributes = b'[{"key":"odd","value":%s},{"key":"a","value":{"stringValue":"b"}}]' % value
    path = tmp_path / "traces.json"
    path.write_bytes(request(1, 2, attributes=attributes) + b"\n" + request(3))

    summary, projects = await imported("otlp", path, project="p")

    assert dict(summary.skipped) == {}
    assert [span.attributes.get("a") for span in projects["p"]] == ["b", "b", None]


async def test_a_whole_number_of_any_size_in_a_list_of_requests_costs_only_itself(tmp_path):
    """A field that nobody reads may hold more than 64 bits."""
    path = tmp_path / "traces.json"
    odd = request(1).replace(b"{", b'{"x":NaN,"y":99999999999999999999999,', 1)
    path.write_bytes(b"[" + odd + b"]\n[" + request(2) + b"]\n")

    summary, projects = await imported("otlp", path, project="p")

    assert dict(summary.skipped) == {}
    assert len(projects["p"]) == 2


async def test_spans_of_libraries_are_those_of_scopes(tmp_path):
    """Files from before OTLP 0.15 lose nothing."""
    path = tmp_path / "traces.json"
    old = request(1).replace(b"scopeSpans", b"instrumentationLibrarySpans")
    path.write_bytes(old.replace(b'"spans"', b'"instrumentationLibrary":{"name":"lib"},"spans"'))

    summary, projects = await imported("otlp", path, project="p")

    (span,) = projects["p"]
    assert dict(summary.skipped) == {}
    assert span.fields["scope"] == {"name": "lib", "version": ""}


async def test_langsmith_times_may_be_milliseconds(tmp_path):
    """The JavaScript client counts them since 1970."""
    run = {"id": "1" * 32, "run_type": "chain", "name": "r", "trace_id": "1" * 32}
    path = tmp_path / "runs.jsonl"
    path.write_bytes(orjson.dumps({**run, "start_time": 1_767_225_600_000, "end_time": 1e12}))

    _, projects = await imported("langsmith", path, project="p")

    assert projects["p"][0].start_unix_ns == 1_767_225_600 * 10**9


async def test_spans_that_mlflow_keeps_as_an_artifact_are_told_by_their_attributes(tmp_path):
    """Such a file has no `info` around its spans."""
    span = {
        "context": {"trace_id": "a" * 32, "span_id": "b" * 16},
        "name": "chat",
        "start_time": 5,
        "end_time": 9,
        "attributes": {"mlflow.spanType": '"LLM"', "mlflow.traceRequestId": '"tr-1"'},
    }
    path = tmp_path / "traces.json"
    path.write_bytes(orjson.dumps({"spans": [span], "request": "{}"}))

    summary, projects = await imported("auto", path, project="p")

    assert dict(summary.skipped) == {}
    assert projects["p"][0].observation_kind == "LLM"
