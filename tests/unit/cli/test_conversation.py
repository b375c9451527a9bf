"""The conversation of a trace: what was said, by whom, once."""

from halo_daemon.cli.conversation import conversation_of
from halo_daemon.proto.trace import Trace
from halo_daemon.testing.spans import START_UNIX_NS, make_span, span_id_of

_SECOND_NS = 10**9


def span(number, kind, begin_s, end_s, *, parent=0, **attributes):
    """A span with attributes whose ``__`` stands for a dot."""
    return make_span(
        span_id=span_id_of(number),
        parent_span_id=span_id_of(parent) if parent else "",
        observation_kind=kind,
        start_unix_ns=START_UNIX_NS + begin_s * _SECOND_NS,
        end_unix_ns=START_UNIX_NS + end_s * _SECOND_NS,
        attributes={key.replace("__", "."): value for key, value in attributes.items()},
    )


def messages(side, *said):
    """The attributes of messages, each a role and a text."""
    return {
        f"llm__{side}_messages__{place}__message__{part}": value
        for place, (role, text) in enumerate(said)
        for part, value in (("role", role), ("content", text))
    }


def told(*spans):
    """Number of the span, label and text of all that is said."""
    return [
        (int(said.span.span_id, 16), said.label, said.text)
        for said in conversation_of(Trace.merge(spans))
    ]


def test_what_is_repeated_is_told_once_and_by_who_said_it_first():
    """An agent repeats question and answer, and each call all that was said before it."""
    asks = messages("input", ("user", "weather?"))
    again = messages("input", ("user", "weather?"), ("tool", "11 degrees"))
    call = {
        "llm__output_messages__0__message__role": "assistant",
        "llm__output_messages__0__message__tool_calls__0__tool_call__function__name": "look",
        "llm__output_messages__0__message__tool_calls__0__tool_call__function__arguments": "{}",
    }
    answer = messages("output", ("assistant", "Cold."))

    assert told(
        span(1, "AGENT", 0, 9, input__value="weather?", output__value="Cold."),
        span(2, "LLM", 1, 2, parent=1, **asks, **call),
        span(3, "TOOL", 3, 4, parent=1, input__value="{}", output__value="11 degrees"),
        span(4, "LLM", 5, 9, parent=1, **again, **answer),
    ) == [
        (1, "in", "weather?"),
        (2, "assistant", "look({})"),
        (3, "in", "{}"),
        (3, "out", "11 degrees"),
        (4, "assistant", "Cold."),
    ]


def test_the_same_words_said_again_are_told_again():
    """A user who says the same twice said it twice."""
    once = messages("input", ("user", "go on"))
    twice = messages("input", ("user", "go on"), ("assistant", "done"), ("user", "go on"))

    assert told(
        span(1, "LLM", 0, 1, **once, **messages("output", ("assistant", "done"))),
        span(2, "LLM", 2, 3, **twice),
    ) == [(1, "user", "go on"), (1, "assistant", "done"), (2, "user", "go on")]


def test_a_text_that_is_content_and_only_part_is_told_once():
    """OpenInference's OpenAI Agents write the answer of the Responses API under both names."""
    part = {"llm__output_messages__0__message__contents__0__message_content__text": "Cold."}

    assert told(span(1, "LLM", 0, 1, **messages("output", ("assistant", "Cold.")), **part)) == [
        (1, "assistant", "Cold.")
    ]


def test_parts_of_a_message_stand_in_their_order():
    """Text in several parts, and a call without a name."""
    parts = {
        "llm__input_messages__0__message__contents__0__message_content__text": "look at",
        "llm__input_messages__0__message__contents__1__message_content__text": "this",
        "llm__output_messages__0__message__tool_calls__0__tool_call__function__arguments": "[1]",
    }

    assert told(span(1, "LLM", 0, 1, **parts)) == [
        (1, "input", "look at"),
        (1, "input", "this"),
        (1, "output", "?([1])"),
    ]


def test_steps_of_a_framework_within_a_run_are_left_out():
    """They hand on what others said, as objects; a run that is one step itself is told."""
    assert told(
        span(1, "CHAIN", 0, 5, input__value="go"),
        span(2, "CHAIN", 1, 4, parent=1, input__value='{"messages": ["go"]}'),
        span(3, "TOOL", 2, 3, parent=2, input__value="{}"),
    ) == [(1, "in", "go"), (3, "in", "{}")]


def test_what_failed_and_gave_out_nothing_tells_its_error():
    """Once, by the innermost; the agent that failed with it does not say it again."""
    failure = {"status_code": "STATUS_CODE_ERROR", "status_message": "no route\n    at main.js:1"}
    agent = make_span(span_id=span_id_of(1), observation_kind="AGENT", **failure)
    tool = make_span(
        span_id=span_id_of(2),
        parent_span_id=span_id_of(1),
        observation_kind="TOOL",
        attributes={"input.value": "{}"},
        **failure,
    )

    assert told(agent, tool) == [(2, "in", "{}"), (2, "error", "no route")]


def test_a_trace_without_texts_is_silent():
    """Nothing is made up, also for a span that has not ended."""
    pending = make_span(end_unix_ns=0, observation_kind="LLM")

    assert told(pending) == []
