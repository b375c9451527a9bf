import random

from hypothesis import given, settings, strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from halo_daemon.errors import IngestError
from halo_daemon.proto.span import Span as StoredSpan
from tests.conformance.requests import as_json
from tests.unit.proto.decoding import attribute, from_both, from_json, from_protobuf

KNOWN_KEYS = [
    "openinference.span.kind", "llm.model_name", "llm.token_count.prompt",
    "llm.token_count.prompt_details.cache_read", "llm.input_messages.0.message.role",
    "gen_ai.operation.name", "gen_ai.usage.input_tokens", "gen_ai.input.messages",
    "gen_ai.tool.call.arguments", "gen_ai.agent.name", "error.type", "http.response.status_code",
    "inference.observation_kind", "inference.llm.input_tokens", "inference.project_id",
    "halo.ingest.warning", "session.id", "output.value", "exception.type", "tool.name",
]  # fmt: skip
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
KNOWN_TEXTS = st.sampled_from(
    ["LLM", "AGENT", "TOOL", "chat", "execute_tool", "12", "7.0", "-1", "null",
     '[{"role":"user","parts":[{"type":"text","content":"hi"}]}]', '{"error":"no"}', "[{", "Boom"]
)  # fmt: skip
SCALARS = st.one_of(
    st.none(), TEXTS, KNOWN_TEXTS, st.booleans(), st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 100), st.floats(), st.binary(max_size=8),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
ATTRIBUTES = st.lists(st.builds(attribute, st.sampled_from(KNOWN_KEYS) | TEXTS, VALUES), max_size=8)
UINT32 = st.integers(0, 2**32 - 1)
UINT64 = st.integers(0, 2**64 - 1)
TRACE_IDS = st.binary(min_size=16, max_size=16) | st.binary(max_size=17)
SPAN_IDS = st.binary(min_size=8, max_size=8) | st.binary(max_size=9)
ENUMS = st.integers(-2, 7)
EVENTS = st.builds(
    Span.Event,
    time_unix_nano=UINT64,
    name=TEXTS | st.just("exception"),
    attributes=ATTRIBUTES,
    dropped_attributes_count=UINT32,
)
LINKS = st.builds(
    Span.Link, trace_id=TRACE_IDS, span_id=SPAN_IDS, trace_state=TEXTS, attributes=ATTRIBUTES
)
SPANS = st.builds(
    Span,
    trace_id=TRACE_IDS,
    span_id=SPAN_IDS,
    parent_span_id=SPAN_IDS,
    trace_state=TEXTS,
    name=TEXTS,
    kind=ENUMS,
    start_time_unix_nano=UINT64,
    end_time_unix_nano=UINT64,
    attributes=ATTRIBUTES,
    events=st.lists(EVENTS, max_size=2),
    links=st.lists(LINKS, max_size=1),
    flags=UINT32,
    status=st.builds(Status, code=ENUMS, message=TEXTS),
)
REQUESTS = st.builds(
    ExportTraceServiceRequest,
    resource_spans=st.lists(
        st.builds(
            ResourceSpans,
            resource=st.builds(Resource, attributes=ATTRIBUTES),
            schema_url=TEXTS,
            scope_spans=st.lists(
                st.builds(
                    ScopeSpans,
                    scope=st.builds(
                        InstrumentationScope, name=TEXTS, version=TEXTS, attributes=ATTRIBUTES
                    ),
                    spans=st.lists(SPANS, max_size=3),
                ),
                max_size=2,
            ),
        ),
        max_size=2,
    ),
)


@given(REQUESTS)
@settings(max_examples=80, deadline=None)
def test_both_encodings_give_the_same_canonical_lines(request):
    """Any request gives strictly canonical lines, and the same ones from both encodings."""
    decoded = from_both(request)

    sent = sum(
        len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans
    )
    assert decoded.request.received_spans == sent
    assert len(decoded.spans) + decoded.request.rejected_spans == sent


@given(REQUESTS)
@settings(max_examples=40, deadline=None)
def test_stored_lines_read_back_unchanged(request):
    """A line survives being read and written again, byte for byte."""
    for batch in from_protobuf(request.SerializeToString()).request.batches:
        for line in batch.lines.split(b"\n")[:-1]:
            assert StoredSpan.from_line(line).to_line() == line + b"\n"


@given(st.binary(max_size=400))
@settings(max_examples=100)
def test_random_bytes_are_spans_or_an_ingest_error(body):
    """Whatever a client sends, it becomes lines or an `IngestError`, never a crash."""
    for decode in (from_protobuf, from_json):
        try:
            decode(body)
        except IngestError:
            continue


@given(REQUESTS, st.integers(0, 2**32))
@settings(max_examples=80, deadline=None)
def test_mutated_requests_are_spans_or_an_ingest_error(request, seed):
    """Bytes changed anywhere in a real request never break the decoders."""
    for body, decode in (
        (request.SerializeToString(), from_protobuf),
        (as_json(request), from_json),
    ):
        mutated = bytearray(body)
        dice = random.Random(seed)
        for _ in range(dice.randint(1, 8)):
            if mutated:
                mutated[dice.randrange(len(mutated))] = dice.randrange(256)
        try:
            decode(bytes(mutated[: dice.randint(len(mutated) // 2, len(mutated))]))
        except IngestError:
            continue
