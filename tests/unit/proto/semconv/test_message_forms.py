import json

import pytest

from halo_daemon.proto.semconv.messages import messages_of

CALL = {"id": "t", "function.name": "f", "function.arguments": '{"a":1}'}
CALLED = {"role": "assistant", "tool_calls": [CALL]}
SAID = {"role": "assistant", "content": "Yes"}
ASKED = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        pytest.param(
            [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}, {"type": "function_call", "call_id": "t", "name": "f", "arguments": '{"a":1}'}, {"type": "function_call_output", "call_id": "t", "output": "42"}, {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}],
            [ASKED, CALLED, {"role": "tool", "content": "42", "tool_call_id": "t"}, {"role": "assistant", "contents": [{"type": "reasoning", "text": "hm"}]}],
            id="openai-responses",
        ),
        pytest.param({"choices": [{"message": {"role": "assistant", "content": "Yes"}}]}, [SAID], id="openai-chat"),
        pytest.param(
            [{"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1}}}]}, {"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": [{"text": "42"}]}}]}],
            [CALLED, {"role": "tool", "content": "42", "tool_call_id": "t"}],
            id="bedrock",
        ),
        pytest.param({"output": {"message": {"role": "assistant", "content": [{"text": "Yes"}]}}, "stopReason": "end_turn"}, [SAID], id="bedrock-answer"),
        pytest.param(
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}]},
            [{"role": "assistant", "contents": [{"type": "reasoning", "text": "hm"}], "tool_calls": [CALL]}],
            id="anthropic",
        ),
        pytest.param({"candidates": [{"content": {"role": "model", "parts": [{"text": "Yes"}]}, "finishReason": "STOP"}]}, [SAID], id="gemini-answer"),
        pytest.param(
            {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}, {"role": "model", "parts": [{"functionCall": {"id": "t", "name": "f", "args": {"a": 1}}}]}]}, [ASKED, CALLED], id="gemini"
        ),
        pytest.param(
            [{"role": "assistant", "content": [{"type": "tool-call", "toolCallId": "t", "toolName": "f", "input": {"a": 1}}]}, {"role": "tool", "content": [{"type": "tool-result", "toolCallId": "t", "output": {"type": "text", "value": "42"}}]}],
            [CALLED, {"role": "tool", "content": "42", "tool_call_id": "t"}],
            id="vercel",
        ),
        pytest.param(
            [{"kind": "request", "parts": [{"part_kind": "user-prompt", "content": "Hi"}]}, {"kind": "response", "parts": [{"part_kind": "tool-call", "tool_name": "f", "args": {"a": 1}, "tool_call_id": "t"}]}],
            [ASKED, CALLED],
            id="pydantic-ai",
        ),
        pytest.param([["human", "Hi"], ["ai", "Yes"]], [ASKED, SAID], id="langchain-pairs"),
        pytest.param(
            {"generations": [[{"message": {"type": "ai", "content": "", "additional_kwargs": {"tool_calls": [{"id": "t", "function": {"name": "f", "arguments": '{"a":1}'}}]}}}]]},
            [{"role": "assistant", "content": "", "tool_calls": [CALL]}],
            id="langchain-generations",
        ),
        pytest.param({"message": {"role": "assistant", "content": "Yes"}, "done": True}, [SAID], id="ollama"),
        pytest.param([{"role": "assistant", "content": [{"text": "Yes"}], "meta": {}}], [SAID], id="haystack"),
        pytest.param(
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}, {"type": "text", "text": "Hi"}]}],
            [{"role": "user", "contents": [{"type": "image", "image.image.url": "http://x"}, {"type": "text", "text": "Hi"}]}],
            id="an-image",
        ),
        pytest.param(
            [{"role": "user", "parts": [{"type": "blob", "mime_type": "image/png", "content": "QUJD"}, {"type": "blob", "mime_type": "image/png", "data": "QUJD"}, {"type": "text", "content": "Hi"}]}],
            [{"role": "user", "contents": [{"type": "blob"}, {"type": "blob"}, {"type": "text", "text": "Hi"}]}],
            id="bytes-are-no-text",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("as_text", [False, True])
def test_a_form_is_read(form, expected, as_text):
    """Each provider's nesting gives the same few fields, structured and as JSON text."""
    assert messages_of(json.dumps(form) if as_text else form, "user") == expected
