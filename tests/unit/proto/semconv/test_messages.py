import pytest

from halo_daemon.proto.semconv.messages import MAX_MESSAGES, messages_of

HELLO = [{"role": "user", "content": "hi"}]
CALL = [
    {
        "role": "assistant",
        "tool_calls": [{"id": "1", "function.name": "f", "function.arguments": '{"a":1}'}],
    }
]
ANSWER = [{"role": "tool", "content": "42", "tool_call_id": "1"}]


@pytest.mark.parametrize(
    ("value", "messages"),
    [
        pytest.param("hi", HELLO, id="text"),
        pytest.param('[{"role":"user","content":"hi"}]', HELLO, id="json"),
        pytest.param([{"role": "user", "parts": [{"type": "text", "content": "hi"}]}], HELLO, id="genai-parts"),
        pytest.param({"messages": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}]}, HELLO, id="content-blocks"),
        pytest.param([["hi"]], HELLO, id="nested-list"),
        pytest.param({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}, HELLO, id="gemini"),
        pytest.param({"messages": [[{"kwargs": {"type": "human", "content": "hi"}}]]}, HELLO, id="langchain"),
        pytest.param([{"role": "assistant", "content": "", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": '{"a":1}'}}]}], [{"role": "assistant", "content": "", **CALL[0]}], id="openai-call"),
        pytest.param([{"role": "assistant", "parts": [{"type": "tool_call", "id": "1", "name": "f", "arguments": {"a": 1}}]}], CALL, id="genai-call"),
        pytest.param([{"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}}]}], CALL, id="anthropic-call"),
        pytest.param([{"role": "assistant", "content": [{"type": "tool-call", "toolCallId": "1", "toolName": "f", "args": {"a": 1}}]}], CALL, id="ai-sdk-call"),
        pytest.param([{"role": "assistant", "content": [{"toolUse": {"toolUseId": "1", "name": "f", "input": {"a": 1}}}]}], CALL, id="bedrock-call"),
        pytest.param([{"role": "model", "parts": [{"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}}]}], CALL, id="gemini-call"),
        pytest.param([{"role": "tool", "parts": [{"type": "tool_call_response", "id": "1", "response": "42"}]}], ANSWER, id="genai-answer"),
        pytest.param([{"role": "tool", "parts": [{"type": "text", "content": "42"}, {"type": "tool_call_response", "id": "1", "result": "42"}]}], ANSWER, id="genai-answer-told-twice"),
        pytest.param([{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "42"}]}]}], ANSWER, id="anthropic-answer"),
        pytest.param([{"role": "tool", "content": [{"type": "tool-result", "toolCallId": "1", "output": "42"}]}], ANSWER, id="ai-sdk-answer"),
        pytest.param([{"type": "function_call_output", "call_id": "1", "output": "42"}], ANSWER, id="responses-answer"),
        pytest.param([{"role": "tool", "content": "42", "tool_call_id": "1"}], ANSWER, id="openai-answer"),
        pytest.param({"answer": 42}, [], id="structured-is-no-message"),
        pytest.param('{"answer": 42}', [{"role": "user", "content": '{"answer": 42}'}], id="json-answer-is-text"),
        pytest.param('[{"role":"us', [], id="cut"),
        pytest.param("[note] text", [{"role": "user", "content": "[note] text"}], id="text-with-bracket"),
        pytest.param("", [], id="empty"),
        pytest.param(None, [], id="none"),
        pytest.param([None, 3, {"role": "user", "content": "hi"}, {}, {"role": ["x"]}], HELLO, id="bad-items-are-passed-over"),
    ],
)  # fmt: skip
def test_every_form_gives_the_same_message(value, messages):
    """A message is read by what it holds, not by who sent it."""
    assert messages_of(value, "user") == messages


FAILED = {"role": "tool", "content": "no", "tool_call_id": "1", "is_error": True}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param([{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "no", "is_error": True}]}], id="anthropic"),
        pytest.param([{"role": "user", "content": [{"toolResult": {"toolUseId": "1", "content": [{"text": "no"}], "status": "error"}}]}], id="bedrock"),
        pytest.param([{"role": "tool", "content": [{"type": "tool-result", "toolCallId": "1", "output": {"type": "error-text", "value": "no"}}]}], id="ai-sdk"),
        pytest.param([{"role": "tool", "content": [{"type": "tool-result", "toolCallId": "1", "result": "no", "isError": True}]}], id="ai-sdk-4"),
        pytest.param([{"kwargs": {"type": "tool", "content": "no", "tool_call_id": "1", "status": "error"}}], id="langchain"),
        pytest.param([{"role": "tool", "is_error": True, "parts": [{"type": "tool_call_response", "id": "1", "response": "no"}]}], id="genai-around"),
    ],
)  # fmt: skip
def test_a_result_marked_as_a_failure_keeps_the_mark(value):
    """Whatever a convention calls it, an answer that is marked as an error stays one."""
    assert messages_of(value, "user") == [FAILED]


@pytest.mark.parametrize(
    "answer",
    [
        {"functionResponse": {"name": "f", "response": {"result": "42"}}},
        {"function_response": {"name": "f", "response": {"result": "42"}}},
        {"type": "tool_call_response", "name": "f", "response": {"result": "42"}},
    ],
    ids=["gemini", "gemini, python", "genai"],
)
def test_a_result_without_an_id_keeps_the_name_of_its_tool(answer):
    """Where calls have no ids, the name is what tells whose answer it is."""
    (message,) = messages_of([{"role": "user", "parts": [answer]}], "user")

    assert message == {"role": "tool", "content": '{"result":"42"}', "name": "f"}


def test_a_user_gives_no_tool_its_name():
    """Who hands a result on may have a name, which is not the tool's."""
    part = {"type": "tool_result", "tool_use_id": "1", "content": "42"}

    assert messages_of([{"role": "user", "name": "bob", "content": [part]}], "user") == ANSWER


def test_several_parts_stay_apart():
    """Text beside reasoning or an image keeps its place among them."""
    value = [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm"},
                {"type": "text", "text": "hi"},
                {"type": "image_url", "url": "https://i"},
            ],
        }
    ]

    assert messages_of(value, "user") == [
        {
            "role": "assistant",
            "contents": [
                {"type": "reasoning", "text": "hm"},
                {"type": "text", "text": "hi"},
                {"type": "image", "image.image.url": "https://i"},
            ],
        }
    ]


def test_a_message_with_answers_keeps_both():
    """An answer inside a user's message becomes a message of its own after it."""
    value = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "hi"},
                {"type": "tool_result", "tool_use_id": "1", "content": "42"},
            ],
        }
    ]

    assert messages_of(value, "user") == [*HELLO, *ANSWER]


def test_the_number_of_messages_is_bounded():
    """C55: more messages than the bound are left in the raw attribute."""
    assert len(messages_of(["x"] * (MAX_MESSAGES + 5), "user")) == MAX_MESSAGES
