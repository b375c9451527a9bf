import pytest

from halo_daemon.analyzer.content import NOTHING_USED, read_model_call
from halo_daemon.analyzer.span_shape import shape_of
from halo_daemon.testing.spans import make_span

CALL = "llm.output_messages.0.message.tool_calls.{}.tool_call"
ATTRIBUTES = {
    "llm.output_messages.0.message.content": "",
    "llm.output_messages.0.message.contents.1.message_content.text": "looking",
    f"{CALL.format(1)}.function.name": "second",
    f"{CALL.format(0)}.function.name": "first",
    f"{CALL.format(0)}.function.arguments": "{}",
    f"{CALL.format(0)}.id": "c1",
    "stop_reason": "",
    "gen_ai.response.finish_reasons": '["tool_calls"]',
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": "be kind",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.content": "where is it?",
}


@pytest.mark.parametrize("further_keys", [0, 5_000])
def test_a_call_is_read_alike_however_many_keys_stand_beside(further_keys):
    """Shapes of spans with very many keys are not kept, which changes nothing of what is read."""
    further = {f"app.{number}": number for number in range(further_keys)}
    span = make_span(observation_kind="LLM", attributes={**further, **ATTRIBUTES})
    shape = shape_of(span)
    call = read_model_call(span, shape, "support", NOTHING_USED)
    assert call.answer.value == "looking"
    assert [(asked.call_id, asked.name) for asked in call.requested] == [
        ("c1", "first"),
        ("", "second"),
    ]
    assert call.finish_reason.value == "tool_calls"
    assert shape.newest is not None
    assert span.text(shape.newest.content) == "where is it?"
    assert [span.text(message.role) for message in shape.messages] == ["system", "user"]


def test_values_of_another_type_are_not_taken_for_texts():
    """A shape names keys; what stands there is looked at each time."""
    key = f"{CALL.format(0)}.function.name"
    numbers = {"llm.output_messages.0.message.content": 7, key: 7}
    texts = {"llm.output_messages.0.message.content": "x", key: "look"}
    read = [
        read_model_call(span, shape_of(span), "", NOTHING_USED)
        for span in (make_span(attributes=numbers), make_span(attributes=texts))
    ]
    assert [call.answer.value for call in read] == ["", "x"]
    assert [len(call.requested) for call in read] == [0, 1]
