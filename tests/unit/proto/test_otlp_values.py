"""Attribute values and their keys: every type, depth, and what no line may hold."""

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from halo_daemon.errors import DecodeError
from tests.conformance.requests import (
    base_span,
    request_of,
    t1,
)
from tests.unit.proto.decoding import (
    any_value,
    attribute,
    attributes,
    decoded_span,
    from_both,
    from_protobuf,
)


def test_values_of_every_type():
    """C51, C52, C53: each OTLP value has one JSON form, exact and RFC 8259."""
    values = {
        "text": "zwölf",
        "empty": "",
        "yes": True,
        "no": False,
        "zero": 0,
        "max": 2**63 - 1,
        "min": -(2**63),
        "double": 1.0,
        "nan": float("nan"),
        "inf": float("inf"),
        "-inf": float("-inf"),
        "bytes": b"\0\xff",
        "list": [1, "a", None, [2.5, {}]],
        "object": {"a": {"b": [True]}},
        "unset": None,
        "": "empty key",
        "__proto__": 1,
        "trace_id": "mine",
    }

    span = decoded_span(base_span(attributes=attributes(values)))

    stored = dict(list(span["attributes"].items())[: len(values)])
    assert stored == values | {
        "nan": "NaN",
        "inf": "Infinity",
        "-inf": "-Infinity",
        "bytes": "AP8=",
    }
    assert list(stored) == list(values)
    assert isinstance(stored["double"], float)


def test_the_last_of_duplicate_keys_wins_at_the_place_of_the_first():
    """C51: duplicates are decided and counted, in attributes and inside values."""
    inner = any_value({})
    inner.kvlist_value.values.extend([attribute("x", 1), attribute("x", 2)])
    pairs = [
        attribute("a", 1),
        attribute("b", 2),
        attribute("a", 3),
        KeyValue(key="c", value=inner),
    ]

    decoded = from_both(request_of(base_span(attributes=pairs)))

    assert list(decoded.spans[0]["attributes"].items())[:3] == [("a", 3), ("b", 2), ("c", {"x": 2})]
    assert decoded.request.warnings == {"duplicate_attribute_key": 2}


@pytest.mark.parametrize("levels", [1, 31])
@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: {"k": v}], ids=["list", "object"])
def test_nesting_up_to_the_limit_is_stored(levels, wrap):
    """C54: 31 levels are taken, in lists and in objects."""
    value: object = "deep"
    for _ in range(levels):
        value = wrap(value)

    span = decoded_span(base_span(attributes=[attribute("a", value)]))

    assert span["attributes"]["a"] == value


@pytest.mark.parametrize("levels", [32, 48, 100, 10_000])
@pytest.mark.parametrize("wrap", ["list", "object"])
def test_deeper_nesting_fails_the_request(levels, wrap):
    """C54: one level more is refused, whether or not the parser would take it."""
    value = b""
    for _ in range(levels):
        value = (
            _field(5, _field(1, value))
            if wrap == "list"
            else _field(6, _field(1, _field(1, b"k") + _field(2, value)))
        )

    with pytest.raises(DecodeError, match="nesting too deep"):
        from_protobuf(_request_with_attribute(_field(1, b"a") + _field(2, value)))


def test_names_that_readers_index_hold_no_line_separator():
    """C58: such a character becomes a space in names, and stays in other strings."""
    request = request_of(
        base_span(
            name="a\u2028b",
            attributes=attributes(
                {
                    "llm.model_name": "m\u2028n",
                    "agent.name": "a\u0085b",
                    "agent.id": "i\u2029d",
                    "other": "x\u2028y",
                }
            ),
        )
    )
    request.resource_spans[0].resource.attributes.append(attribute("service.name", "s\u0085t"))

    (span,) = from_both(request).spans

    assert span["resource"]["attributes"]["service.name"] == "s t"
    assert span["attributes"]["inference.llm.model_name"] == "m n"
    assert span["attributes"]["inference.agent_name"] == "a b"
    assert span["attributes"]["inference.agent_id"] == "i d"
    assert span["attributes"]["other"] == "x\u2028y"
    assert span["name"] == "a\u2028b"
    assert span["attributes"]["halo.ingest.warning"] == ["replaced_separator"]


def test_unknown_fields_are_ignored():
    """C59: a field of a later OTLP does not disturb."""
    unknown = b"\xfa\xf0\x04\x03new"

    decoded = from_protobuf(t1() + unknown)

    assert len(decoded.spans) == 1
    assert b"new" not in decoded.request.batches[0].lines


def test_indices_into_a_string_table_are_as_if_absent():
    """C60: what only profiles may say is passed over and counted."""
    pairs = [
        KeyValue(key="value", value=AnyValue(string_value_strindex=3)),
        KeyValue(key_strindex=2, value=any_value("text")),
    ]

    decoded = from_both(request_of(base_span(attributes=pairs)))

    stored = decoded.spans[0]["attributes"]
    assert (stored["value"], stored[""]) == (None, "text")
    assert decoded.request.warnings == {"string_table_index": 2}


def _field(number: int, payload: bytes) -> bytes:
    length = len(payload)
    size = bytearray()
    while length > 0x7F:
        size.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([number << 3 | 2, *size, length]) + payload


def _request_with_attribute(pair: bytes) -> bytes:
    span = base_span().SerializeToString() + _field(9, pair)
    return _field(1, _field(1, Resource().SerializeToString()) + _field(2, _field(2, span)))
