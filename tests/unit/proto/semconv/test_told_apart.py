"""What LangChain.js sends of its messages, in part and whole."""

import json

import pytest

from tests.unit.proto.semconv.spans import INPUT, OUTPUT, added

SCOPE = "@arizeai/openinference-instrumentation-langchain"
ASKS = {"name": "lookup", "args": {"order": 42}, "id": "c1", "type": "tool_call"}
BLOCKS = [
    {"type": "text", "text": "I look."},
    {"type": "tool_use", "id": "c1", "name": "lookup", "input": {"order": 42}},
]
CALL = {"id": "c1", "function.name": "lookup", "function.arguments": '{"order":42}'}


def message(kind, content, **kwargs):
    """A message as LangChain.js serializes it."""
    return {
        "lc": 1,
        "type": "constructor",
        "id": ["langchain_core", "messages", kind],
        "kwargs": {"content": content, "additional_kwargs": {}, **kwargs},
    }


def span_of(*, asked, said, sent):
    """What is added to a span that was sent with these messages, whole and flat."""
    values = {
        "openinference.span.kind": "LLM",
        "input.value": json.dumps({"messages": [asked]}),
        "output.value": json.dumps({"generations": [[{"text": "", "message": said}]]}),
        **sent,
    }
    return added(values, scope=SCOPE)


def calls_of(prefix):
    """The keys of the one call, under a message."""
    return {f"{prefix}.message.tool_calls.0.tool_call.{key}": value for key, value in CALL.items()}


@pytest.mark.parametrize("content", ["", BLOCKS], ids=["flat", "blocks"])
def test_calls_are_read_from_the_whole(content):
    """What a model asked for stands in its message, in the answer and in later prompts."""
    answered = message("ToolMessage", "shipped", tool_call_id="c1", name="lookup")
    asked = message("AIMessage", content, tool_calls=[ASKS])
    sent = {
        f"{INPUT}.0.message.role": "user",
        f"{INPUT}.0.message.content": "where is order 42",
        f"{INPUT}.1.message.role": "assistant",
        f"{INPUT}.2.message.role": "tool",
        f"{INPUT}.2.message.content": "shipped",
        f"{OUTPUT}.0.message.role": "assistant",
    }

    found = span_of(
        asked=[message("HumanMessage", "where is order 42"), asked, answered],
        said=asked,
        sent=sent,
    )

    wanted = calls_of(f"{OUTPUT}.0") | calls_of(f"{INPUT}.1")
    wanted[f"{INPUT}.2.message.tool_call_id"] = "c1"
    if content:
        wanted[f"{OUTPUT}.0.message.content"] = "I look."
    assert found | wanted == found


def test_what_was_sent_stays():
    """A text that the client wrote is not written again in another form."""
    sent = {f"{OUTPUT}.0.message.role": "assistant", f"{OUTPUT}.0.message.content": "As sent."}
    parts = [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]

    found = span_of(asked=[], said=message("AIMessage", parts), sent=sent)

    assert not any(key.startswith(f"{OUTPUT}.0.message.content") for key in found)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param({f"{OUTPUT}.0.message.role": "user"}, id="another-role"),
        pytest.param(
            {f"{OUTPUT}.1.message.role": "assistant"},
            id="another-place",
        ),
    ],
)
def test_other_messages_are_not_mixed(sent):
    """Where the whole has not the messages that were sent, nothing is added to them."""
    found = span_of(asked=[], said=message("AIMessage", "", tool_calls=[ASKS]), sent=sent)

    assert not any("tool_call" in key for key in found)


@pytest.mark.parametrize("whole", ["{", "", '{"generations": 3}', "[[]]"])
def test_a_whole_that_cannot_be_read_adds_nothing(whole):
    """A cut or odd value costs what it would have told, and no more."""
    values = {
        "openinference.span.kind": "LLM",
        "output.value": whole,
        f"{OUTPUT}.0.message.role": "assistant",
        f"{OUTPUT}.0.message.content": "Yes",
    }

    assert not any(key.startswith(OUTPUT) for key in added(values, scope=SCOPE))
