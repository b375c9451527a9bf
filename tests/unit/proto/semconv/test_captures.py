"""The mapping against requests of real instrumentations, where they are at hand."""

import os
from pathlib import Path

import orjson
import pytest

from halo_daemon.proto.otlp import decode_protobuf
from halo_daemon.proto.otlp_json import decode_json
from halo_daemon.proto.semconv import facts_of, project_fields
from halo_daemon.proto.semconv.targets import (
    INPUT_MESSAGES,
    LLM,
    OUTPUT_MESSAGES,
    SPAN,
    TOKEN_KINDS,
)
from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace
from halo_daemon.testing.canonical_line import check_lines
from scripts.capture_hints import hints_of
from scripts.conventions import has_messages, has_tokens
from tests.unit.proto.decoding import LIMITS, project_of

SHARED = Path(os.environ.get("HALO_SHARED", Path(__file__).parents[5] / "shared"))
DIALECTS = SHARED / "data" / "dialects"
NAMES = (
    sorted(path.name for path in DIALECTS.iterdir() if any(path.glob("*.pb")))
    if DIALECTS.is_dir()
    else []
)

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


def hinted(dialect):
    """Each span of a dialect, and what a reader of the capture expects of it."""
    hints = dict(hints_of(DIALECTS / dialect))
    return [(span, hints[span.trace_id, span.span_id]) for span in spans_of(dialect)]


def calls(dialect):
    """Those that are model calls."""
    return [entry for entry in hinted(dialect) if entry[0].observation_kind == LLM]


@pytest.mark.parametrize("dialect", NAMES)
def test_both_encodings_agree(dialect):
    """The protobuf and the JSON form of every request give the same bytes."""
    for path in sorted((DIALECTS / dialect).glob("*.pb")):
        as_json = path.with_suffix(".json").read_bytes()

        assert decode_json(as_json, project_of=project_of, limits=LIMITS) == decode_protobuf(
            path.read_bytes(), project_of=project_of, limits=LIMITS
        )


def test_kinds_are_recognised():
    """Of all spans with a key of some agent vocabulary, 99 in 100 have a kind."""
    kinds = [
        span.observation_kind
        for dialect in NAMES
        for span, hint in hinted(dialect)
        if hint.observed
    ]

    assert len(kinds) > 400
    assert kinds.count(SPAN) <= len(kinds) // 100


@pytest.mark.parametrize("dialect", NAMES)
def test_usage_is_recognised(dialect):
    """Every LLM span that names tokens anywhere in what was sent has its tokens."""
    missed = [span.name for span, hint in calls(dialect) if hint.usage and not has_tokens(span)]

    assert missed == []


@pytest.mark.parametrize("dialect", NAMES)
def test_messages_are_recovered(dialect):
    """Every LLM span that holds a prompt or an answer in some form has it in the common one."""
    missed = [
        (span.name, direction)
        for span, hint in calls(dialect)
        for direction, is_there in ((INPUT_MESSAGES, hint.asked), (OUTPUT_MESSAGES, hint.answered))
        if is_there and not has_messages(span, direction)
    ]

    assert missed == []


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
        assert facts.usage.output_tokens == sum(span.output_tokens or 0 for span in innermost)
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
