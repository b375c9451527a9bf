"""Rows C54 and C55: spans that nest too deep, or hold too much."""

import itertools
from pathlib import Path

import pytest

from halo_daemon.proto.otlp_wire import field_bytes
from tests.conformance.conftest import daemon_in, receiver_of
from tests.conformance.receiver import JSON
from tests.conformance.requests import (
    base_span,
    body_of,
    json_body,
    t1,
)

_MAX_DEPTH = 31


DEPTHS = list(itertools.product(["array", "map"], ["protobuf", "json"]))


def _nested_protobuf(depth, kind):
    value = b"\x18\x01"
    for _ in range(depth):
        inner = field_bytes(0x0A, value)
        if kind == "map":
            inner = field_bytes(0x0A, field_bytes(0x0A, b"k") + field_bytes(0x12, value))
        value = field_bytes(0x2A if kind == "array" else 0x32, inner)
    span = base_span().SerializeToString() + field_bytes(
        0x4A, field_bytes(0x0A, b"k") + field_bytes(0x12, value)
    )
    return field_bytes(0x0A, field_bytes(0x12, field_bytes(0x12, span)))


def _nested_json(depth, kind):
    before, after = {
        "array": (b'{"arrayValue":{"values":[', b"]}}"),
        "map": (b'{"kvlistValue":{"values":[{"key":"k","value":', b"}]}}"),
    }[kind]
    value = before * depth + b'{"intValue":1}' + after * depth
    body = json_body(attributes=[{"key": "k", "value": 0}])
    return body.replace(b'"value": 0', b'"value":' + value)


def _post_nested(receiver, depth, kind, encoding, project):
    if encoding == "json":
        return receiver.post(_nested_json(depth, kind), JSON, project=project)
    return receiver.post(_nested_protobuf(depth, kind), project=project)


@pytest.mark.parametrize(("kind", "encoding"), DEPTHS)
def test_c54_values_nested_up_to_the_limit_are_stored(receiver, project, kind, encoding):
    """The documented depth is taken, the same in both encodings."""
    assert _post_nested(receiver, _MAX_DEPTH, kind, encoding, project).is_empty_success


@pytest.mark.parametrize("depth", [_MAX_DEPTH + 1, 48])
@pytest.mark.parametrize(("kind", "encoding"), DEPTHS)
def test_c54_values_nested_deeper_are_a_bad_request(ours, project, kind, encoding, depth):
    """One level more is refused, the same in both encodings."""
    answer = _post_nested(ours, depth, kind, encoding, project)

    assert answer.status == 400
    assert "nest" in answer.message


@pytest.mark.parametrize("depth", [100, 10_000])
@pytest.mark.parametrize(("kind", "encoding"), DEPTHS)
def test_c54_absurd_depths_end_no_process(receiver, project, kind, encoding, depth):
    """However deep a value is nested, it is a bad request and the receiver goes on."""
    answer = _post_nested(receiver, depth, kind, encoding, project)

    assert answer.status == 400
    assert receiver.post(t1()).status == 200


@pytest.mark.slow
def test_c55_very_many_and_very_large_parts_are_bounded(ours, project):
    """A hundred thousand attributes, events and links are stored or refused, not a crash."""
    span = base_span()
    for i in range(100_000):
        span.attributes.add(key=f"k{i}").value.int_value = i
        span.events.add(name="e")
        span.links.add(trace_id=b"\1" * 16, span_id=b"\1" * 8)

    answer = ours.post(body_of(span), project=project)

    assert answer.status == 200
    [stored] = ours.spans(project)
    assert len(stored["events"]) == 100_000


@pytest.mark.slow
def test_c55_one_string_of_almost_the_limit(ours, project):
    """A string of 60 MiB is an attribute like any other."""
    span = base_span()
    span.attributes.add(key="k").value.string_value = "x" * (60 * 1024**2)

    assert ours.post(body_of(span), project=project).is_empty_success
    assert len(ours.lines(project)[0]) > 60 * 1024**2


def test_c55_an_absurd_message_index_does_not_allocate(ours, project):
    """A flat key with an index of 999999999 is stored as it is."""
    key = "llm.input_messages.999999999.message.role"
    span = base_span()
    span.attributes.add(key=key).value.string_value = "user"

    answer = ours.post(body_of(span), project=project)

    assert answer.is_empty_success
    assert ours.spans(project)[0]["attributes"][key] == "user"


@pytest.mark.parametrize(
    ("part", "what"), [(b"\x4a\0", "attributes"), (b"\x5a\0", "events"), (b"\x6a\0", "links")]
)
def test_c55_a_million_empty_parts_of_one_span_do_not_cost_the_others(ours, project, part, what):
    """What one span has too much of is dropped and counted; the span beside it is untouched."""
    ids = b"\x0a\x10" + b"\1" * 16 + b"\x12\x08" + b"\2" * 8
    flooded = field_bytes(0x12, ids + part * 990_000)
    good = field_bytes(0x12, base_span().SerializeToString())

    answer = ours.post(field_bytes(0x0A, field_bytes(0x12, flooded + good)), project=project)

    first, second = ours.spans(project)
    assert answer.is_empty_success
    assert first[f"dropped_{what}_count"] == 890_000
    assert first["attributes"]["halo.ingest.warning"][0] == "dropped_surplus"
    assert second["span_id"] == base_span().span_id.hex()
    assert "halo.ingest.warning" not in second["attributes"]


_FLOODS = {
    "spans": b"\x12\0",
    "events": b"\x5a\0",
    "attributes": b"\x4a\0",
}


@pytest.mark.parametrize("what", _FLOODS)
def test_c55_a_flood_of_empty_parts_costs_no_memory(tmp_path, what):
    """Ten million empty messages are refused before memory is spent on them."""
    inner = _FLOODS[what] * 10_000_000
    for tag in (0x12, 0x0A) if what == "spans" else (0x12, 0x12, 0x0A):
        inner = field_bytes(tag, inner)
    with daemon_in(tmp_path) as daemon:
        receiver = receiver_of(daemon)
        before = _peak_bytes(daemon.pid)

        answer = receiver.post(inner)
        spent = _peak_bytes(daemon.pid) - before
        receiver.close()

    assert answer.status == 413
    assert f"receivers.max_{'spans' if what == 'spans' else 'parts'}_per_request" in answer.message
    assert spent < 2 * 64 * 1024**2


_SHORT_LIST = field_bytes(0x12, field_bytes(0x2A, b"\x0a\0" * 200))


@pytest.mark.parametrize(
    ("path", "tags", "part"),
    [
        pytest.param("/v1/traces", (0x0A, 0x12, 0x12), field_bytes(0x4A, _SHORT_LIST), id="lists"),
        pytest.param("/v1/logs", (0x0A, 0x12), b"\x12\0" * 200, id="log-records"),
        pytest.param("/v1/logs", (0x0A, 0x12, 0x12), b"\x32\0" * 200, id="log-attributes"),
        pytest.param("/v1/metrics", (0x0A, 0x12), b"\x12\0" * 200, id="metrics"),
        pytest.param("/v1/metrics", (0x0A, 0x12, 0x12, 0x2A), b"\x0a\0" * 200, id="data-points"),
    ],
)
def test_c55_a_flood_on_any_path_costs_no_memory(tmp_path, path, tags, part):
    """Ten million empty values, records or points are refused, whichever signal they are of."""
    inner = part * 50_000
    if path == "/v1/logs" and len(tags) > 2:
        inner = field_bytes(0x62, b"claude_code.user_prompt") + inner
    for tag in reversed(tags):
        inner = field_bytes(tag, inner)
    with daemon_in(tmp_path) as daemon:
        receiver = receiver_of(daemon)
        before = _peak_bytes(daemon.pid)

        answer = receiver.post(inner, path=path)
        spent = _peak_bytes(daemon.pid) - before
        receiver.close()

    assert answer.status == 413
    assert "receivers.max_parts_per_request" in answer.message
    assert spent < 2 * 64 * 1024**2


def _peak_bytes(pid):
    """The most memory that a process had so far."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("the peak of a process's memory is read from /proc")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
