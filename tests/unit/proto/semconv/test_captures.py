"""The mapping against requests of real instrumentations, where they are at hand."""

import os
from pathlib import Path

import orjson
import pytest

from halo_daemon.proto.otlp import decode_protobuf
from halo_daemon.proto.otlp_json import decode_json
from halo_daemon.proto.semconv import facts_of, project_fields
from halo_daemon.proto.semconv.plan import explain
from halo_daemon.proto.semconv.targets import (
    INPUT_MESSAGES,
    INPUT_TOKENS,
    KIND,
    LLM,
    OUTPUT_MESSAGES,
    OUTPUT_TOKENS,
    SPAN,
    TOKEN_KINDS,
    WEAK_KIND,
)
from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace
from halo_daemon.testing.canonical_line import check_lines
from tests.unit.proto.decoding import LIMITS, project_of

SHARED = Path(os.environ.get("HALO_SHARED", Path(__file__).parents[5] / "shared"))
DIALECTS = SHARED / "data" / "dialects"
NAMES = (
    sorted(path.name for path in DIALECTS.iterdir() if any(path.glob("*.pb")))
    if DIALECTS.is_dir()
    else []
)
OWN_PREFIXES = ("inference.", "halo.")
NO_KIND = frozenset({"span", "event", "SPAN", "UNKNOWN"})

pytestmark = pytest.mark.skipif(not NAMES, reason="evaluation data not present")


def spans_of(dialect):
    """The stored spans of a dialect's requests, each line checked against the format."""
    found = []
    for path in sorted((DIALECTS / dialect).glob("*.pb")):
        decoded = decode_protobuf(path.read_bytes(), project_of=project_of, limits=LIMITS)
        assert decoded.rejected == {}
        for batch in decoded.batches:
            found += [Span.from_fields(fields) for fields in check_lines(batch.lines)]
    return found


def sent(span, *wanted):
    """The attributes that a client sent and that can answer one of *wanted*."""
    return {
        key: value
        for key, value in span.attributes.items()
        if not key.startswith(OWN_PREFIXES) and any(target in wanted for _, target in explain(key))
    }


@pytest.mark.parametrize("dialect", NAMES)
def test_both_encodings_agree(dialect):
    """The protobuf and the JSON form of every request give the same bytes."""
    for path in sorted((DIALECTS / dialect).glob("*.pb")):
        as_json = path.with_suffix(".json").read_bytes()

        assert decode_json(as_json, project_of=project_of, limits=LIMITS) == decode_protobuf(
            path.read_bytes(), project_of=project_of, limits=LIMITS
        )


@pytest.mark.parametrize("dialect", NAMES)
def test_kinds_are_recognised(dialect):
    """Every span that carries any hint of its kind has one."""
    missed = [
        (span.name, hints)
        for span in spans_of(dialect)
        if span.observation_kind == SPAN
        and (hints := {k: v for k, v in sent(span, KIND, WEAK_KIND).items() if v not in NO_KIND})
    ]

    assert missed == []


@pytest.mark.parametrize("dialect", NAMES)
def test_usage_is_recognised(dialect):
    """Every LLM span that reports usage has its tokens."""
    missed = [
        (span.name, usage)
        for span in spans_of(dialect)
        if span.observation_kind == LLM
        and (usage := sent(span, INPUT_TOKENS, OUTPUT_TOKENS))
        and span.input_tokens is None
        and span.output_tokens is None
    ]

    assert missed == []


@pytest.mark.parametrize("dialect", NAMES)
@pytest.mark.parametrize("direction", [INPUT_MESSAGES, OUTPUT_MESSAGES])
def test_messages_are_recovered(dialect, direction):
    """Every LLM span that holds messages in some form has them in the common one."""
    other = OUTPUT_MESSAGES if direction == INPUT_MESSAGES else INPUT_MESSAGES
    missed = [
        (span.name, held)
        for span in spans_of(dialect)
        if span.observation_kind == LLM
        and (held := _messages(span, direction, other))
        and not any(key.startswith(direction) for key in span.attributes)
    ]

    assert missed == []


def _messages(span, direction, other):
    both_ways = sent(span, other)
    return {
        key: value
        for key, value in sent(span, direction).items()
        if value not in ("", "[]", "{}", None, []) and key not in both_ways
    }


@pytest.mark.parametrize("dialect", NAMES)
def test_no_token_is_counted_twice(dialect):
    """A trace's tokens are those of its innermost model calls."""
    spans = spans_of(dialect)
    for trace_id in {span.trace_id for span in spans}:
        trace = Trace.merge(span for span in spans if span.trace_id == trace_id)
        facts = facts_of(trace)

        calls = [span for span in trace.spans if span.observation_kind in TOKEN_KINDS]
        innermost = [span for span in calls if span.span_id not in facts.enclosing_calls]
        assert facts.usage.input_tokens == sum(span.input_tokens or 0 for span in innermost)
        assert all(span.input_tokens is None for span in trace.spans if span not in calls)


@pytest.mark.parametrize("dialect", NAMES)
def test_projecting_again_changes_nothing(dialect):
    """A stored capture projected anew is the same line."""
    for span in spans_of(dialect):
        assert orjson.dumps(project_fields(span.fields)) == orjson.dumps(span.fields)


@pytest.mark.parametrize(
    "variant", ["spec", "upper_hex_ids", "enum_names", "numbers", "snake_case", "unknown_fields"]
)
def test_spellings_of_json_agree(variant):
    """One request in every legal and tolerated spelling gives one set of lines."""

    def batches(name):
        body = (DIALECTS / "json_variants" / f"{name}.json").read_bytes()
        return decode_json(body, project_of=project_of, limits=LIMITS).batches

    assert batches(variant) == batches("spec")
