"""What log records tell of spans, as readers see it on the spans."""

import orjson
import pytest
from hypothesis import given, strategies as st

from halo_daemon.analyzer.signals import error_signal
from halo_daemon.proto.otlp_json import decode_json
from halo_daemon.proto.otlp_logs import spans_of_json_logs
from halo_daemon.proto.semconv import with_events_joined
from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace
from halo_daemon.testing.spans import TRACE_ID, span_id_of
from tests.unit.proto.decoding import LIMITS, project_of

CALL = span_id_of(1)
TOOL = span_id_of(2)
ASKED = "llm.input_messages.0.message.content"
SAID = "llm.output_messages.0.message.content"


def pairs(**values):
    """OTLP/JSON attributes with text values; ``__`` stands for a dot."""
    return [
        {"key": key.replace("__", "."), "value": {"stringValue": value}}
        for key, value in values.items()
    ]


def decoded(request):
    """The spans of a trace request."""
    found = decode_json(request, project_of=project_of, limits=LIMITS)
    lines = [line for batch in found.batches for line in batch.lines.splitlines()]
    return [Span.from_line(line) for line in lines]


def call(span_id=CALL, status=0, operation="chat"):
    """A model call, or another operation, that holds no message."""
    span = {
        "traceId": TRACE_ID,
        "spanId": span_id,
        "name": "chat m",
        "startTimeUnixNano": "1000",
        "endTimeUnixNano": "9000",
        "status": {"code": status},
        "attributes": pairs(gen_ai__operation__name=operation, gen_ai__request__model="m"),
    }
    (found,) = decoded(orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}))
    return found


def told(*records):
    """The spans that log records become; each is (event name, time, attributes, body)."""
    listed = [
        {
            "traceId": TRACE_ID,
            "spanId": span_id,
            "eventName": name,
            "timeUnixNano": str(time),
            "attributes": attributes,
            "body": {"kvlistValue": {"values": body}} if body else {},
        }
        for span_id, name, time, attributes, body in records
    ]
    request = {"resourceLogs": [{"scopeLogs": [{"logRecords": listed}]}]}
    taken = spans_of_json_logs(orjson.dumps(request), LIMITS)
    return decoded(taken.request) if taken.request else []


QUESTION = (CALL, "gen_ai.user.message", 1_001, [], pairs(content="Why?"))
ANSWER = (CALL, "gen_ai.choice", 8_999, [], pairs(content="Because."))
LIMIT = (
    CALL,
    "gen_ai.client.operation.exception",
    8_000,
    pairs(exception__type="a.RateLimit", exception__message="slower"),
    [],
)


def joined(*spans):
    """What readers see, by span id."""
    return {span.span_id: span for span in with_events_joined(Trace.merge(spans).spans)}


@given(st.permutations(range(3)))
def test_messages_stand_on_the_call_in_order_of_time(order):
    """Logs and spans arrive in any order."""
    spans = [call(), *told(QUESTION, ANSWER)]

    seen = joined(*(spans[place] for place in order))[CALL]

    assert (seen.text(ASKED), seen.text(SAID)) == ("Why?", "Because.")
    assert [event["name"] for event in seen.events] == ["gen_ai.user.message", "gen_ai.choice"]


def test_all_that_one_record_tells_is_told_of_the_call():
    """One record with all messages: it is a call by itself, and none beside its call."""
    details = pairs(
        gen_ai__operation__name="chat",
        gen_ai__request__model="m",
        gen_ai__input__messages='[{"role":"user","parts":[{"type":"text","content":"Hi"}]}]',
    )
    (record,) = told((CALL, "gen_ai.client.inference.operation.details", 8_000, details, []))

    seen = joined(call(), record)

    assert seen[CALL].text(ASKED) == "Hi"
    assert [span.observation_kind for span in seen.values()] == ["LLM", "SPAN"]
    assert record.observation_kind == "LLM", "by itself it is a call"


@pytest.mark.parametrize("name", ["exception", "http.client.request.exception", LIMIT[1]])
def test_an_exception_in_a_log_record_is_one_of_its_span(name):
    """It says why the span failed, and is no failure beside it."""
    (record,) = told((CALL, name, *LIMIT[2:]))

    seen = joined(call(status=2), record)

    assert seen[CALL].status_message == "a.RateLimit: slower"
    assert seen[record.span_id].events == record.events, "where a search finds it"
    assert error_signal(seen[CALL]) is not None
    assert error_signal(seen[record.span_id]) is None


@pytest.mark.parametrize("operation", ["chat", "invoke_agent"])
@pytest.mark.parametrize("status", [0, 1])
def test_a_failure_that_a_record_tells_is_on_its_line_and_on_its_span(operation, status):
    """A list finds it by the record, a report by the span, and nobody counts it twice."""
    (record,) = told(LIMIT)
    span = call(status=status, operation=operation)

    seen = joined(span, record)

    assert not span.has_derived_error
    assert record.has_derived_error
    assert seen[CALL].has_derived_error
    assert not seen[record.span_id].has_derived_error


def test_a_handled_exception_in_a_record_fails_nothing():
    """The span got over it."""
    handled = (*LIMIT[:3], [*LIMIT[3], *pairs(exception__escaped="False")], [])
    (record,) = told(handled)

    seen = joined(call(operation="invoke_agent"), record)

    assert not record.has_derived_error
    assert not seen[CALL].has_derived_error


def test_an_exception_of_a_span_that_never_came_is_a_failure():
    """A process that was killed sends its logs and no span."""
    (record,) = told(LIMIT)

    (seen,) = with_events_joined([record])

    assert error_signal(seen).message == "slower"


def test_an_exception_without_a_span_is_an_ordinary_log_line():
    """There is nothing that it could be told of."""
    assert told(("", "exception", *LIMIT[2:])) == []
    assert told(("", *LIMIT[1:])) != [], "an event of the GenAI conventions stands by itself"


def test_joined_twice_is_joined_once():
    """An export has what was joined, and the records beside it."""
    agent = call(operation="invoke_agent", span_id=TOOL)
    failed = (TOOL, *LIMIT[1:])
    once = with_events_joined([call(), agent, *told(QUESTION, ANSWER, LIMIT, failed)])

    again = with_events_joined([Span.from_line(span.to_line()) for span in once])

    assert [span.to_line() for span in again] == [span.to_line() for span in once]


def test_a_record_whose_span_is_not_there_stays_as_it_is():
    """The span may have been sampled away; what was said is still to be read."""
    (record,) = told(QUESTION)

    (seen,) = with_events_joined([record])

    assert seen is record
    assert seen.text(ASKED) == "Why?"


def test_without_records_spans_are_not_touched():
    """Most traces have none, and pay for a look at each span."""
    spans = [call(), call(TOOL)]

    assert with_events_joined(spans) is spans


@pytest.mark.parametrize("missing", ["inference.export.schema_version", "inference.project_id"])
def test_a_line_of_another_hand_costs_no_other_span(missing):
    """Shards may hold lines that lack what every line of ours has; they are read as they stand."""
    spans = [call(), *told(QUESTION, ANSWER)]
    odd = [
        Span.from_fields(
            {
                **span.fields,
                "attributes": {k: v for k, v in span.attributes.items() if k != missing},
            }
        )
        for span in spans
    ]

    assert len(with_events_joined(odd)) == 3
    assert joined(odd[0], *spans[1:])[CALL].span_id == CALL
    assert joined(spans[0], *odd[1:])[CALL].text(ASKED) == "Why?"


def test_an_event_of_another_hand_costs_no_other_span():
    """One without its time cannot be put in order: the span is read as it stands."""
    (record,) = told(QUESTION)
    timeless = Span.from_fields({**record.fields, "events": [{"name": "gen_ai.user.message"}]})

    assert joined(call(), timeless)[CALL].text(ASKED) == ""
