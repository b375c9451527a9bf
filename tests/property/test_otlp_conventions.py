import json

import orjson
from hypothesis import example, given, settings, strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from halo_daemon.proto.semconv import facts_of, lint, project_fields
from halo_daemon.proto.semconv.conventions import CONVENTIONS
from halo_daemon.proto.semconv.targets import FILLED, INGEST_WARNING, REMARKS, TAIL
from halo_daemon.proto.span import Span as StoredSpan
from halo_daemon.proto.trace import Trace
from halo_daemon.testing.canonical_line import check_line
from tests.conformance.requests import END_UNIX_NS, START_UNIX_NS, request_of
from tests.unit.proto.decoding import any_value, attribute, attributes, from_both

KEYS = sorted(
    {
        key.replace(".*", ".0.content")
        for convention in CONVENTIONS
        for row in convention.rows
        for key in row.keys
    }
    | {"llm.input_messages.0.message.role", "llm.tools.0.tool.json_schema", "gen_ai.prompt.1.role"}
    | {*FILLED, *TAIL, INGEST_WARNING, *REMARKS, "halo.client.inference.user_id"}
)
NAMES = sorted(
    {name.pattern.replace("*", "x") for convention in CONVENTIONS for name in convention.names}
    | {"work", ""}
)
SCOPES = sorted({scope for convention in CONVENTIONS for scope in convention.scopes} | {"", "app"})
KINDS = [
    "LLM",
    "AGENT",
    "TOOL",
    "chat",
    "execute_tool",
    "invoke_agent",
    "span",
    "generation",
    "llm",
]
MESSAGES = [
    '[{"role":"user","parts":[{"type":"text","content":"hi"}]}]',
    '[{"role":"assistant","content":"","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{}"}}]}]',
    '{"messages":[[{"type":"human","content":"x"}]],"usage":{"inputTokens":3}}',
    '{"error":"no"}', '[{"role":', "plain", '"quoted"', "{}", "null",
]  # fmt: skip
CALLED = {"id": "1", "function": {"name": "f", "arguments": "{}"}}
ANSWERS = [
    {
        "choices": [
            {
                "message": {"role": "assistant", "content": "Yes", "tool_calls": [CALLED]},
                "finish_reason": "stop",
            }
        ],
        "model": "m",
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 4,
            "prompt_tokens_details": {"cached_tokens": 1},
        },
    },
    {
        "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "x"}],
        "usage": {"input_tokens": 1},
    },
    {"message": {"role": "model", "content": [{"text": "Yes"}]}, "finishReason": "stop"},
    {
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "model": "m",
    },
    [{"id": "1", "score": 0.5, "content": "doc"}],
    {"isError": True, "content": [{"type": "text", "text": "bad"}]},
    {"success": False, "error": "x"},
    {"a": 1},
]
"""What models, gateways and tools answer, whole."""

VALUES = st.one_of(
    st.sampled_from(KINDS), st.sampled_from(MESSAGES), st.integers(0, 90), st.booleans(),
    st.sampled_from(ANSWERS), st.sampled_from([*map(json.dumps, ANSWERS), '"{\\"a\\":1}"']),
    st.sampled_from(["12", "7.5", "", "Boom", 500, 404, None, 0.25, "a\u2028b"]),
    st.sampled_from([["a"], [{"role": "user", "content": "y"}], {"input": 4, "output": 1}, [["z"]]]),
)  # fmt: skip
EVENT_NAMES = [
    "exception", "gen_ai.user.message", "gen_ai.choice", "gen_ai.evaluation.result", "tool.output",
    "gen_ai.content.prompt", "gen_ai.client.inference.operation.details", "db.query.result", "other",
]  # fmt: skip
EVENT_KEYS = [
    "exception.type", "exception.escaped", "content", "message", "finish_reason", "role", "id",
    "gen_ai.event.content", "gen_ai.prompt", "gen_ai.output.messages", "output", "tool_calls",
    "gen_ai.evaluation.score.value", "db.query.result.document", "db.query.result.score",
]  # fmt: skip


def events_with(values):
    """Span events with some of *values*."""
    return st.builds(
        lambda name, held: Span.Event(name=name, attributes=attributes(held)),
        st.sampled_from(EVENT_NAMES),
        st.dictionaries(st.sampled_from(EVENT_KEYS), values, max_size=3),
    )


EVENTS = events_with(VALUES)
TREES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=3)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                st.sampled_from(["role", "content", "parts", "type", "tool_calls", "usage", "id"]),
                st.text(max_size=3),
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=8,
)
CUT_JSON = st.builds(
    lambda tree, cut: json.dumps(tree, ensure_ascii=False)[: cut or None],
    TREES,
    st.integers(0, 40),
)
INDEXED = [
    f"{family}.{index}.{rest}"
    for family in ("llm.input_messages", "gen_ai.prompt", "gen_ai.completion", "llm.tools")
    for index in ("0", "10", "2", "999999999", "99999999999999999999", "-1", "x", "\u0663", "")
    for rest in ("content", "message.role", "tool_calls.7.name", "tool_calls.999999999.id", "")
]
WILD_SPANS = st.builds(
    lambda values, **fields: Span(
        trace_id=b"\1" * 16,
        span_id=b"\2" * 8,
        start_time_unix_nano=START_UNIX_NS,
        end_time_unix_nano=END_UNIX_NS,
        attributes=attributes(values),
        **fields,
    ),
    st.dictionaries(
        st.sampled_from([*KEYS, *INDEXED]), st.one_of(VALUES, TREES, CUT_JSON), max_size=9
    ),
    name=st.sampled_from(NAMES),
    events=st.lists(events_with(st.one_of(VALUES, TREES, CUT_JSON)), max_size=3),
)
SPANS = st.builds(
    lambda number, parent, values, **fields: Span(
        trace_id=b"\1" * 16,
        span_id=number.to_bytes(8),
        parent_span_id=parent.to_bytes(8),
        start_time_unix_nano=START_UNIX_NS,
        end_time_unix_nano=END_UNIX_NS,
        attributes=attributes(values),
        **fields,
    ),
    st.integers(1, 6),
    st.integers(0, 6),
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=7),
    name=st.sampled_from(NAMES),
    kind=st.integers(0, 5),
    events=st.lists(EVENTS, max_size=2),
    status=st.builds(Status, code=st.integers(0, 2), message=st.sampled_from(["", "m"])),
)


def decoded(spans, scope=""):
    """The line objects of *spans* in one request, the same from both encodings."""
    request = request_of(*spans)
    request.resource_spans[0].scope_spans[0].scope.name = scope
    return from_both(request).spans


TOTALS_SENT = Span(
    trace_id=b"\1" * 16,
    span_id=b"\2" * 8,
    end_time_unix_nano=1,
    attributes=attributes(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.usage.cache_read.input_tokens": 0,
            "halo.aggregate.cached_input_tokens": "LLM",
        }
    ),
)


@given(st.lists(SPANS, max_size=3), st.sampled_from(SCOPES))
@example([TOTALS_SENT], "")
@settings(max_examples=100, deadline=None)
def test_projecting_a_projected_line_changes_nothing(spans, scope):
    """With the mapping that wrote it, a line comes back byte for byte."""
    for fields in decoded(spans, scope):
        assert orjson.dumps(project_fields(fields)) == orjson.dumps(fields)


@given(st.lists(SPANS, max_size=3), st.sampled_from(SCOPES))
@settings(max_examples=60, deadline=None)
def test_a_line_sent_again_is_the_same_line(spans, scope):
    """Line to OTLP to line is the identity: nothing is derived from what was derived."""
    for fields in decoded(spans, scope):
        again = Span(
            trace_id=bytes.fromhex(fields["trace_id"]),
            span_id=bytes.fromhex(fields["span_id"]),
            parent_span_id=bytes.fromhex(fields["parent_span_id"]),
            name=fields["name"],
            kind=Span.SpanKind.Value(fields["kind"]),
            start_time_unix_nano=START_UNIX_NS,
            end_time_unix_nano=END_UNIX_NS,
            status=Status(
                code=Status.StatusCode.Value(fields["status"]["code"]),
                message=fields["status"]["message"],
            ),
            attributes=attributes(fields["attributes"]),
            events=[
                Span.Event(name=event["name"], attributes=attributes(event["attributes"]))
                for event in fields.get("events", ())
            ],
        )
        (second,) = decoded([again], scope)

        assert orjson.dumps(second) == orjson.dumps(fields)


@given(WILD_SPANS, st.sampled_from(SCOPES))
@settings(max_examples=200, deadline=None)
def test_whatever_a_key_holds_gives_a_line(span, scope):
    """Any type under any key, cut JSON and wild indexes cost no span, and stay stable."""
    (fields,) = decoded([span], scope)

    check_line(orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE))
    assert orjson.dumps(project_fields(fields)) == orjson.dumps(fields)


FAMILY = st.lists(
    st.tuples(
        st.integers(0, 99),
        st.sampled_from(["AGENT", "CHAIN", "LLM", "TOOL", "SPAN"]),
        st.one_of(st.none(), st.integers(0, 50)),
    ),
    min_size=1,
    max_size=12,
)


@given(FAMILY, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_totals_are_those_of_the_leaves(family, random):
    """Whatever repeats usage above (agents, chains, calls around calls), a leaf counts once."""
    usage = {number: used for number, (_, _, used) in enumerate(family, start=1)}
    kinds = {number: kind for number, (_, kind, _) in enumerate(family, start=1)}
    parents = {number: place % number for number, (place, _, _) in enumerate(family, start=1)}
    spans = [
        Span(
            trace_id=b"\1" * 16,
            span_id=number.to_bytes(8),
            parent_span_id=parents[number].to_bytes(8),
            start_time_unix_nano=START_UNIX_NS,
            end_time_unix_nano=END_UNIX_NS,
            attributes=attributes(
                {"inference.observation_kind": kinds[number]}
                | ({} if used is None else {"gen_ai.usage.input_tokens": used})
            ),
        )
        for number, used in usage.items()
    ]
    random.shuffle(spans)

    trace = Trace.merge(StoredSpan.from_fields(fields) for fields in decoded(spans))

    def ancestors(number):
        return {parents[number], *ancestors(parents[number])} if number else set()

    calls = [n for n, used in usage.items() if kinds[n] == "LLM" and used is not None]
    leaves = set(calls) - set().union(*map(ancestors, calls))
    assert facts_of(trace).usage.input_tokens == sum(usage[n] for n in leaves)
    assert facts_of(trace).enclosing_calls == {n.to_bytes(8).hex() for n in set(calls) - leaves}


@given(st.lists(SPANS, min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_no_token_of_a_trace_is_counted_twice(spans):
    """A trace's tokens are those of its innermost model calls, whatever the tree."""
    stored = [StoredSpan.from_fields(fields) for fields in decoded(spans)]

    trace = Trace.merge(stored)
    facts = facts_of(trace)

    innermost = [
        span
        for span in trace.spans
        if span.observation_kind in {"LLM", "EMBEDDING", "RERANKER"}
        and span.span_id not in facts.enclosing_calls
    ]
    assert facts.usage.input_tokens == sum(span.input_tokens or 0 for span in innermost)
    assert facts.usage.output_tokens == sum(span.output_tokens or 0 for span in innermost)


@given(st.lists(SPANS, max_size=4))
@settings(max_examples=30, deadline=None)
def test_lint_takes_any_line(spans):
    """Whatever was stored can be looked at."""
    report = lint(StoredSpan.from_fields(fields) for fields in decoded(spans))

    assert sum(scope.spans for scope in report.scopes) == len(spans)


def test_examples_cover_every_row():
    """The generated spans reach every key of the mapping."""
    assert len(KEYS) > 300
    assert attribute("k", None).value == any_value(None)
