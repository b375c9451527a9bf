"""The adapter against a scripted server: real sockets, every way to answer."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from halo_daemon.analyzer.agent.errors import Action, ModelError
from halo_daemon.analyzer.agent.llm import OpenAIModel, OpenAISettings
from halo_daemon.analyzer.agent.messages import Message, Role, ToolSchema
from halo_daemon.analyzer.agent.model import Finish, ModelReply, ModelRequest, discard_text
from halo_daemon.errors import ConfigError
from halo_daemon.testing.scripted_model import ScriptedModelServer, Step
from halo_daemon.testing.scripted_replies import (
    DONE,
    chat_event,
    comments_only,
    cut_at,
    drip,
    drop_before_headers,
    drop_mid_stream,
    error,
    event,
    ok,
    sse,
    stall,
    status,
)
from tests.conformance.certificates import make_authority, make_certificate

TOOLS = tuple(
    ToolSchema(name, "A tool.", {"type": "object", "properties": {}}) for name in ("look", "end")
)
REQUEST = ModelRequest((Message(Role.USER, "hello"),), TOOLS, max_output_tokens=50, timeout_s=5)
FINISHED = chat_event({}, finish_reason="stop")
TWO_CALLS = [
    chat_event(
        {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "look", "arguments": ""}}]}
    ),
    chat_event(
        {"tool_calls": [{"index": 1, "id": "b", "function": {"name": "end", "arguments": '{"y"'}}]}
    ),
    chat_event({"tool_calls": [{"index": 0, "function": {"arguments": '{"x": "é"}'}}]}),
    chat_event({"tool_calls": [{"index": 1, "function": {"arguments": ": 2}"}}]}),
    FINISHED,
    DONE,
]


@asynccontextmanager
async def asking(
    *script: Step, **settings
) -> AsyncIterator[tuple[OpenAIModel, ScriptedModelServer]]:
    """A model over a server that follows *script*."""
    settings = {"model": "m-1", "api_key": "sk-secret-key-0001", "temperature": 0.5} | settings
    with ScriptedModelServer(script) as server:
        model = OpenAIModel(OpenAISettings(base_url=server.base_url, **settings))
        try:
            yield model, server
        finally:
            await model.aclose()


async def reply_to(*script: Step, **settings) -> ModelReply:
    """The answer to one request."""
    async with asking(*script, **settings) as (model, _):
        return await model.complete(REQUEST, on_text=discard_text)


async def failure_of(*script: Step, **settings) -> ModelError:
    """The error of one request."""
    with pytest.raises(ModelError) as caught:
        await reply_to(*script, **settings)
    return caught.value


def calls_of(reply: ModelReply) -> list[tuple[str, str]]:
    """Name and arguments of each call."""
    return [(call.name, call.arguments) for call in reply.message.tool_calls]


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_an_answer_is_the_same_over_both_apis(api):
    """Text, calls, usage and text deltas do not depend on the API."""
    pieces: list[str] = []
    script = ok("Looking at trace é.", ("look", {"id": 7}), ("end", {}))

    async with asking(script, api=api) as (model, server):
        reply = await model.complete(REQUEST, on_text=pieces.append)

    assert reply.message.content == "Looking at trace é." == "".join(pieces)
    assert calls_of(reply) == [("look", '{"id": 7}'), ("end", "{}")]
    assert (reply.finish, reply.usage.input_tokens, reply.usage.output_tokens) == (
        Finish.DONE,
        100,
        10,
    )
    assert server.requests[0].is_responses == (api == "responses")


@pytest.mark.parametrize("cut", [1, 60, 97, 120, 333, 334, 350, 500])
async def test_a_stream_may_be_cut_anywhere(cut):
    """Packets cut inside a character, an escape or a line change nothing (ST-01, ST-02, ST-09)."""
    raw = b"".join(TWO_CALLS).replace(b"\\u00e9", "é".encode())

    reply = await reply_to(sse(*cut_at(raw, cut, cut + 1)))

    assert calls_of(reply) == [("look", '{"x": "é"}'), ("end", '{"y": 2}')]


def _calls(*deltas: dict) -> list[bytes]:
    return [*(chat_event({"tool_calls": [delta]}) for delta in deltas), FINISHED, DONE]


@pytest.mark.parametrize(
    ("events", "calls"),
    [
        pytest.param(
            _calls(
                {"id": "a", "function": {"name": "look", "arguments": "{"}},
                {"function": {"arguments": "}"}},
                {"id": "b", "function": {"name": "end", "arguments": "{}"}},
            ),
            [("look", "{}"), ("end", "{}")],
            id="ST-03-no-index",
        ),
        pytest.param(
            _calls(
                {"index": 0, "id": "a", "function": {"name": "look", "arguments": "{"}},
                {"index": 0, "id": "a", "function": {"name": "look", "arguments": "}"}},
            ),
            [("look", "{}")],
            id="ST-04-05-id-and-name-repeated",
        ),
        pytest.param(
            _calls(
                {"index": 0, "id": "a", "function": {"name": "look", "arguments": "{}"}},
                {"index": 0, "id": "b", "function": {"name": "end", "arguments": "{}"}},
            ),
            [("look", "{}"), ("end", "{}")],
            id="ST-04-id-changes",
        ),
        pytest.param(
            _calls(
                {"index": 0, "id": "a", "function": {"name": "lo", "arguments": ""}},
                {"index": 0, "function": {"name": "ok", "arguments": "{}"}},
            ),
            [("look", "{}")],
            id="ST-05-name-split",
        ),
        pytest.param(
            [chat_event({"function_call": {"name": "look", "arguments": "{}"}}), FINISHED, DONE],
            [("look", "{}")],
            id="T-14-old-function-call",
        ),
        pytest.param(
            _calls({"index": 0, "id": "a", "function": {"name": "look", "arguments": {"x": 1}}}),
            [("look", '{"x":1}')],
            id="arguments-as-object",
        ),
    ],
)
async def test_tool_calls_are_put_together(events, calls):
    """Each dialect of streamed tool calls gives the calls that were meant."""
    assert calls_of(await reply_to(sse(*events))) == calls


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(sse(chat_event({"content": "fine"}), FINISHED), id="ST-07-no-done"),
        pytest.param(sse(chat_event({"content": "fine"}), DONE), id="F-04-no-finish-reason"),
        pytest.param(
            sse(chat_event({"content": "fine"}), chat_event({}, finish_reason="why"), DONE),
            id="F-04-unknown-finish-reason",
        ),
        pytest.param(
            sse(
                b": hi\r\n\r\nevent: x\r\nid: 1\r\nretry: 5\r\n",
                chat_event({"content": "fine"}).replace(b"\n", b"\r\n"),
                b"\r\n\r\n",
                FINISHED,
                DONE,
            ),
            id="ST-08-crlf-comments-fields",
        ),
        pytest.param(
            sse(
                event({"choices": [], "usage": {}}),
                chat_event({"content": "fine"}),
                FINISHED,
                event({"choices": []}),
                DONE,
            ),
            id="ST-06-empty-choices",
        ),
        pytest.param(
            sse(
                json.dumps(
                    {
                        "choices": [
                            {"index": 0, "message": {"content": "fine"}, "finish_reason": "stop"}
                        ]
                    }
                ).encode(),
                content_type="application/json",
            ),
            id="ST-11-stream-ignored",
        ),
        pytest.param(
            sse(
                chat_event({"role": "assistant"}),
                chat_event({"content": None}),
                chat_event({"content": [{"type": "text", "text": "fi"}, {"text": "ne"}]}),
                FINISHED,
                DONE,
            ),
            id="ST-12-content-forms",
        ),
        pytest.param(
            drop_mid_stream(chat_event({"content": "fine"}), FINISHED), id="ST-13-drop-after-finish"
        ),
        pytest.param(
            sse(
                chat_event({"content": "fine"}),
                event({"choices": [{"index": 1, "delta": {"content": "no"}}]}),
                FINISHED,
                DONE,
            ),
            id="ST-17-second-choice",
        ),
        pytest.param(
            sse(
                chat_event({"reasoning_content": "hmm"}),
                chat_event({"reasoning": "hm"}),
                chat_event({"content": "fine"}),
                FINISHED,
                DONE,
            ),
            id="ST-10-reasoning",
        ),
    ],
)
async def test_every_form_of_a_good_answer_is_accepted(script):
    """What a server means as an answer is read as one."""
    assert (await reply_to(script)).message.content == "fine"


async def test_a_call_beside_text_with_a_plain_stop_is_both():
    """Text and call of one message are kept, whatever word ends it (T-08, T-09)."""
    script = ok("Looking.", ("look", {"x": 1}), finish_reason="stop")

    for api in ("chat", "responses"):
        reply = await reply_to(script, api=api)

        assert reply.message.content == "Looking."
        assert calls_of(reply) == [("look", '{"x": 1}')]


async def test_responses_events_give_what_chat_gives():
    """Items and deltas make the answer where the last event leaves them out (ST-16)."""
    call_item = {"type": "function_call", "call_id": "a", "name": "look", "arguments": '{"x": "é"}'}
    text_item = {"type": "message", "content": [{"type": "output_text", "text": "Looking."}]}
    usage = {"input_tokens": 9, "output_tokens": 4}
    script = sse(
        event({"type": "response.created", "response": {"id": "r1"}}, name="response.created"),
        event({"type": "response.output_item.added", "item": {**text_item, "content": []}}),
        event({"type": "response.output_text.delta", "delta": "Look"}),
        event({"type": "response.output_text.delta", "delta": "ing."}),
        event({"type": "response.output_item.done", "item": text_item}),
        event({"type": "response.reasoning_summary_text.delta", "delta": "hmm"}),
        event({"type": "response.function_call_arguments.delta", "delta": '{"x": '}),
        event({"type": "response.function_call_arguments.done", "arguments": '{"x": "é"}'}),
        event({"type": "response.output_item.done", "item": call_item}),
        event({"type": "response.never_heard_of", "response": 5}),
        event({"type": "response.completed", "response": {"id": "r1", "usage": usage}}),
    )
    pieces: list[str] = []
    async with asking(script, api="responses") as (model, server):
        reply = await model.complete(REQUEST, on_text=pieces.append)

    assert reply.message.content == "Looking." == "".join(pieces)
    assert calls_of(reply) == [("look", '{"x": "é"}')]
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (9, 4)
    assert server.requests[0].fields["store"] is False


async def test_a_response_without_its_last_event_is_cut():
    """Items alone are no answer: the end has to come (ST-16, ST-07)."""
    item = {"type": "message", "content": [{"type": "output_text", "text": "Looking."}]}

    failed = await failure_of(
        sse(event({"type": "response.output_item.done", "item": item})), api="responses"
    )

    assert failed.action is Action.RETRY


async def test_many_tiny_chunks_are_one_answer():
    """Twenty thousand one-letter chunks cost no more than their text (ST-15)."""
    chunks = b"".join(chat_event({"content": "x"}) for _ in range(20_000))

    reply = await reply_to(sse(chunks, FINISHED, DONE))

    assert len(reply.message.content) == 20_000


RETRY, STOP, SHRINK = Action.RETRY, Action.STOP, Action.SHRINK


@pytest.mark.parametrize(
    ("script", "action", "reason"),
    [
        pytest.param(drop_before_headers(), RETRY, "provider", id="ST-13-drop-0"),
        pytest.param(
            drop_mid_stream(chat_event({"content": "x"})), RETRY, "provider", id="ST-13-1"
        ),
        pytest.param(sse(chat_event({"content": "x"})), RETRY, "provider", id="ST-07-no-terminal"),
        pytest.param(sse(), RETRY, "provider", id="H-23-empty"),
        pytest.param(
            sse(b"<html>hi</html>", content_type="text/html"), RETRY, "provider", id="H-22"
        ),
        pytest.param(sse(b"data: {oops\n\n"), RETRY, "provider", id="garbage"),
        pytest.param(sse(DONE), RETRY, "provider", id="F-04-nothing"),
        pytest.param(
            sse(b"data: " + b"x" * (9 << 20) + b"\n\n"), RETRY, "provider", id="ST-15-huge-event"
        ),
        pytest.param(
            sse(event({"error": {"message": "oops", "code": "server_error"}})),
            RETRY,
            "provider",
            id="ST-14-server-error",
        ),
        pytest.param(
            sse(event({"error": {"message": "maximum context length is 8192 tokens"}})),
            SHRINK,
            "context",
            id="ST-14-context",
        ),
        pytest.param(error(401, "no"), STOP, "auth", id="H-01"),
        pytest.param(error(402, "pay"), STOP, "quota", id="H-02"),
        pytest.param(error(403, "no"), STOP, "auth", id="H-03"),
        pytest.param(error(404, "no such model"), STOP, "model_or_route_not_found", id="H-05"),
        pytest.param(error(408, "slow"), RETRY, "provider", id="H-06"),
        pytest.param(error(409, "busy"), RETRY, "provider", id="H-07"),
        pytest.param(error(429, "x", kind="insufficient_quota"), STOP, "quota", id="H-11"),
        pytest.param(error(429, "slow down"), RETRY, "rate_limited", id="429"),
        pytest.param(error(500, "oops"), RETRY, "provider", id="H-12"),
        pytest.param(status(502, html="<h1>Bad gateway</h1>"), RETRY, "provider", id="H-13"),
        pytest.param(error(503, "x"), RETRY, "provider", id="H-14"),
        pytest.param(error(529, "x"), RETRY, "provider", id="H-15"),
        pytest.param(error(413, "x"), SHRINK, "context", id="H-16"),
        pytest.param(error(422, "what"), Action.RETRY_ONCE, "bad_request", id="H-17-no-field"),
        pytest.param(error(500, "x", x_should_retry="false"), STOP, "provider", id="H-18-false"),
        pytest.param(
            error(400, "x", kind="odd", x_should_retry="true"), RETRY, "bad_request", id="H-18-true"
        ),
        pytest.param(error(429, "x", retry_after="3600"), STOP, "rate_limited", id="H-19"),
        pytest.param(
            status(302, headers={"location": "http://127.0.0.1:9/v1"}),
            STOP,
            "bad_request",
            id="H-25-redirect",
        ),
        pytest.param(
            error(400, "flagged by moderation"), Action.WITHHOLD, "content_filter", id="V-12"
        ),
        pytest.param(error(400, "bad"), Action.RETRY_ONCE, "bad_request", id="V-13"),
        pytest.param(error(400, "bad", kind="odd"), STOP, "bad_request", id="400-with-code"),
        pytest.param(
            error(400, "This model does not support tools"), STOP, "no_tool_support", id="V-14"
        ),
        pytest.param(status(400, "maximum context length is 9"), SHRINK, "context", id="V-15-text"),
        pytest.param(
            status(400, [{"error": {"message": "prompt is too long"}}]),
            SHRINK,
            "context",
            id="V-15-list",
        ),
        pytest.param(
            status(400, {"detail": "too many tokens"}), SHRINK, "context", id="V-15-detail"
        ),
        pytest.param(status(400, {"error": "too many tokens"}), SHRINK, "context", id="V-15-error"),
    ],
)
async def test_every_failure_says_what_to_do(script, action, reason):
    """Each way to fail has one action and one reason; nothing else escapes."""
    failed = await failure_of(script)

    assert (failed.action, failed.reason) == (action, reason)
    assert "sk-secret" not in str(failed)
    assert "<h1>" not in str(failed)


@pytest.mark.parametrize(
    ("message", "window_tokens"),
    [
        pytest.param(
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens. Please reduce the length of the messages.",
            8192,
            id="V-02-openai",
        ),
        pytest.param(
            "Your input exceeds the context window of this model. Please adjust your input and try again.",
            0,
            id="V-02-openai-responses",
        ),
        pytest.param(
            "Invalid 'messages[1].content': string too long. Expected a string with maximum length 10485760",
            0,
            id="V-02-openai-long-text",
        ),
        pytest.param(
            "This model's maximum context length is 16385 tokens, however you requested 20000 tokens (16000 in your prompt; 4000 for the completion).",
            16385,
            id="V-02-azure",
        ),
        pytest.param(
            "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens in the messages, Please reduce the length of the messages.",
            4096,
            id="V-02-vllm",
        ),
        pytest.param(
            "The decoder prompt (length 5000) is longer than the maximum model length of 4096. Make sure that `max_model_len` is no smaller than the number of text tokens.",
            4096,
            id="V-02-vllm-decoder",
        ),
        pytest.param(
            "'max_completion_tokens' is too large: 4000. This model's maximum context length is 4096 tokens and your request has 500 input tokens",
            4096,
            id="V-02-vllm-output",
        ),
        pytest.param(
            "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
            4096,
            id="V-02-sglang",
        ),
        pytest.param(
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 100 `max_new_tokens`",
            4096,
            id="V-02-tgi",
        ),
        pytest.param(
            "the request exceeds the available context size (4096 tokens), try increasing it",
            4096,
            id="V-02-llama.cpp",
        ),
        pytest.param(
            "the request exceeds the available context size. try increasing the context size or enable context shift",
            0,
            id="V-02-llama.cpp-older",
        ),
        pytest.param(
            "input length 70000 exceeds the context length of 32768", 32768, id="V-02-ollama"
        ),
        pytest.param("the input length exceeds the context length", 0, id="V-02-ollama-older"),
        pytest.param(
            "The number of tokens to keep from the initial prompt is greater than the context length of only 4096 tokens",
            4096,
            id="V-02-lm-studio",
        ),
        pytest.param(
            "prompt is too long: 210000 tokens > 200000 maximum", 200000, id="V-02-anthropic"
        ),
        pytest.param(
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length or `max_tokens` and try again",
            200000,
            id="V-02-anthropic-output",
        ),
        pytest.param(
            "litellm.ContextWindowExceededError: litellm.BadRequestError: AzureException",
            0,
            id="V-02-litellm",
        ),
        pytest.param(
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            1048576,
            id="V-02-gemini",
        ),
        pytest.param(
            "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32,768 maximum context length",
            32768,
            id="V-02-mistral",
        ),
        pytest.param(
            "This model's maximum prompt length is 131072 but the request contains 150000 tokens.",
            131072,
            id="V-02-xai",
        ),
        pytest.param(
            "This endpoint's maximum context length is 32768 tokens. However, you requested about 40000 tokens",
            32768,
            id="V-02-openrouter",
        ),
        pytest.param("Input is too long for requested model.", 0, id="V-02-bedrock"),
        pytest.param("Please reduce the length of the messages or completion.", 0, id="V-02-groq"),
        pytest.param(
            "too many tokens: total number of tokens in the prompt cannot exceed 4081",
            0,
            id="V-02-cohere",
        ),
    ],
)
async def test_a_full_context_is_known_by_its_wording(message, window_tokens):
    """Every server's words for a full context mean shrink; its number is learnt (V-01, V-02)."""
    failed = await failure_of(error(400, message))

    assert (failed.action, failed.window_tokens) == (Action.SHRINK, window_tokens)


@pytest.mark.parametrize(
    ("refusal", "gone", "instead"),
    [
        pytest.param(
            error(400, "temperature is not supported", param="temperature"),
            "temperature",
            "",
            id="V-03",
        ),
        pytest.param(
            error(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
            "max_tokens",
            "max_completion_tokens",
            id="V-04",
        ),
        pytest.param(
            error(400, "parallel_tool_calls: Extra inputs are not permitted"),
            "parallel_tool_calls",
            "",
            id="V-05",
        ),
        pytest.param(
            error(400, "Unknown parameter: reasoning_effort"), "reasoning_effort", "", id="V-06"
        ),
        pytest.param(
            status(
                422,
                {
                    "detail": [
                        {"loc": ["body", "stream_options"], "msg": "extra fields not permitted"}
                    ]
                },
            ),
            "stream_options",
            "",
            id="V-08-H-17",
        ),
    ],
)
async def test_a_refused_parameter_is_dropped_and_remembered(refusal, gone, instead):
    """One refusal adapts this and all later requests; the run goes on (V-03 to V-10)."""
    async with asking(refusal, ok("fine"), ok("fine"), reasoning_effort="high") as (model, server):
        with pytest.raises(ModelError) as caught:
            await model.complete(REQUEST, on_text=discard_text)
        await model.complete(REQUEST, on_text=discard_text)
        await model.complete(REQUEST, on_text=discard_text)

    assert caught.value.action is Action.RETRY_NOW
    assert gone in server.requests[0].fields
    assert all(gone not in request.fields for request in server.requests[1:])
    assert not instead or server.requests[1].fields[instead] == 50
    assert model.parameters_dropped == (gone,)


async def test_an_effort_is_lowered_before_it_is_dropped():
    """A refused value gives way to the next lower one (V-06)."""
    refusal = error(400, "Invalid value: 'xhigh' for reasoning_effort", param="reasoning_effort")

    async with asking(refusal, ok("fine"), reasoning_effort="xhigh") as (model, server):
        with pytest.raises(ModelError):
            await model.complete(REQUEST, on_text=discard_text)
        await model.complete(REQUEST, on_text=discard_text)

    assert server.requests[1].fields["reasoning_effort"] == "high"


async def test_a_forced_tool_stays_forced_where_naming_it_is_refused():
    """A named tool choice becomes `required`, then no choice, with that tool alone (V-09)."""
    request = ModelRequest(REQUEST.messages, TOOLS, force_tool="end")
    refusal = error(400, "tool_choice: value not supported", param="tool_choice")

    async with asking(refusal, refusal, ok("fine")) as (model, server):
        for _ in range(2):
            with pytest.raises(ModelError):
                await model.complete(request, on_text=discard_text)
        await model.complete(request, on_text=discard_text)

    sent = [request.fields for request in server.requests]
    assert sent[0]["tool_choice"] == {"type": "function", "function": {"name": "end"}}
    assert sent[1]["tool_choice"] == "required"
    assert "tool_choice" not in sent[2]
    assert [tool["function"]["name"] for tool in sent[2]["tools"]] == ["end"]


async def test_the_same_refusal_twice_is_final():
    """A parameter that was dropped and is refused again ends the run, not a loop (V-11)."""
    refusal = error(400, "temperature is not supported", param="temperature")

    async with asking(refusal, refusal) as (model, _):
        errors = []
        for _ in range(2):
            with pytest.raises(ModelError) as caught:
                await model.complete(REQUEST, on_text=discard_text)
            errors.append(caught.value)

    assert [failed.action for failed in errors] == [Action.RETRY_NOW, Action.STOP]


async def test_a_server_without_responses_is_asked_by_chat():
    """A 404 on the Responses route switches to chat completions for good (H-04)."""
    async with asking(error(404, "no route"), ok("fine"), api="responses") as (model, server):
        with pytest.raises(ModelError) as caught:
            await model.complete(REQUEST, on_text=discard_text)
        reply = await model.complete(REQUEST, on_text=discard_text)

    assert caught.value.action is Action.RETRY_NOW
    assert reply.message.content == "fine"
    assert [request.is_responses for request in server.requests] == [True, False]


@pytest.mark.parametrize(
    ("header", "value", "wait_s"),
    [("retry_after", "2", 2.0), ("retry_after_ms", "150", 0.15), ("retry_after", "nonsense", 0.0)],
)
async def test_the_wait_that_is_asked_for_is_read(header, value, wait_s):
    """Seconds and milliseconds are read; anything else asks for nothing (H-08, H-10)."""
    failed = await failure_of(error(429, "slow down", **{header: value}))

    assert failed.retry_after_s == wait_s


async def test_a_slow_stream_with_life_is_read_to_its_end():
    """Events that keep coming are an answer, however slowly (B-09)."""
    pieces = [chat_event({"content": letter}) for letter in "slowly"]

    reply = await reply_to(drip(*pieces, FINISHED, DONE), idle_timeout_s=0.5)

    assert reply.message.content == "slowly"


async def test_a_request_is_cut_at_its_own_limit():
    """A stream that drips for ever ends with the request's time (B-09)."""
    async with asking(drip(*[chat_event({"content": "x"})] * 1_000)) as (model, _):
        with pytest.raises(ModelError) as caught:
            await model.complete(
                ModelRequest(REQUEST.messages, timeout_s=0.1), on_text=discard_text
            )

    assert caught.value.action is Action.RETRY


@pytest.mark.parametrize("script", [stall(chat_event({"content": "x"})), comments_only(), stall()])
async def test_a_stream_without_life_is_cut(script):
    """A stall, an open silence and comments alone are cut by the idle limit (B-09)."""
    failed = await failure_of(script, idle_timeout_s=0.03)

    assert failed.action is Action.RETRY


@pytest.mark.parametrize(
    ("finish_reason", "refusal", "finish"),
    [
        ("length", "", Finish.LENGTH),
        ("content_filter", "", Finish.FILTERED),
        ("stop", "I cannot.", Finish.REFUSED),
        ("stop", "", Finish.DONE),
    ],
)
@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_how_an_answer_ended_is_known(api, finish_reason, refusal, finish):
    """Length, filter and refusal are told apart over both APIs (F-01 to F-08)."""
    reply = await reply_to(ok("text", finish_reason=finish_reason, refusal=refusal), api=api)

    assert reply.finish is finish


@pytest.mark.parametrize(
    ("code", "action"), [("server_error", Action.RETRY), ("rate_limit_exceeded", Action.RETRY)]
)
async def test_a_failed_response_is_an_error(code, action):
    """`response.failed` follows the policy of its code (F-09)."""
    body = {"status": "failed", "error": {"code": code, "message": "no"}}

    failed = await failure_of(
        sse(event({"type": "response.failed", "response": body})), api="responses"
    )

    assert failed.action is action


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param(None, None, id="absent"),
        pytest.param({"prompt_tokens": 0, "completion_tokens": 0}, None, id="zero-with-text"),
        pytest.param({"prompt_tokens": -1, "completion_tokens": "3"}, None, id="nonsense"),
        pytest.param({"prompt_tokens": 1.5}, None, id="float"),
        pytest.param({"total_tokens": 70}, (70, 0, 0, 0, True), id="only-total"),
        pytest.param(
            {
                "prompt_tokens": 9,
                "completion_tokens": 4,
                "prompt_tokens_details": {"cached_tokens": 99},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
            (9, 4, 9, 2, False),
            id="details",
        ),
        pytest.param(
            {"input_tokens": 9, "output_tokens": 4, "cache_read_input_tokens": 5},
            (9, 4, 5, 0, False),
            id="other-names",
        ),
    ],
)
async def test_usage_is_read_or_distrusted(usage, expected):
    """Tokens are taken from each known place; what is not believable is None (U-01, U-02, U-05)."""
    found = (await reply_to(ok("text", usage=usage))).usage

    shown = found and (
        found.input_tokens,
        found.output_tokens,
        found.cached_input_tokens,
        found.reasoning_tokens,
        found.estimated,
    )
    assert shown == expected


async def test_a_refused_connection_can_be_retried():
    """Nobody listening is a failure that may pass (H-24)."""
    with ScriptedModelServer([]) as server:
        base_url = server.base_url
    model = OpenAIModel(OpenAISettings(model="m", base_url=base_url))

    with pytest.raises(ModelError) as caught:
        await model.complete(REQUEST, on_text=discard_text)
    await model.aclose()

    assert caught.value.action is Action.RETRY


async def test_an_unknown_host_can_be_retried():
    """A name that does not resolve may be a failure of the network (H-24)."""
    model = OpenAIModel(OpenAISettings(model="m", base_url="http://no-such-host.invalid/v1"))

    with pytest.raises(ModelError) as caught:
        await model.complete(REQUEST, on_text=discard_text)
    await model.aclose()

    assert caught.value.action is Action.RETRY


async def test_a_certificate_that_nobody_vouches_for_ends_the_run(tmp_path):
    """A bad certificate is no failure that passes; the message says what it is (H-24)."""
    authority = make_authority(tmp_path, "strangers")
    pair = make_certificate(tmp_path, "server", authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    model = OpenAIModel(OpenAISettings(model="m", base_url=f"https://127.0.0.1:{port}/v1"))

    with pytest.raises(ModelError) as caught:
        await model.complete(REQUEST, on_text=discard_text)
    await model.aclose()
    server.close()

    assert (caught.value.action, "cannot trust" in str(caught.value)) == (Action.STOP, True)


async def test_a_redirect_takes_the_key_nowhere():
    """The place that a redirect names is never asked (H-25)."""
    with ScriptedModelServer([ok("gotcha")]) as elsewhere:
        failed = await failure_of(status(307, headers={"location": elsewhere.base_url}))

    assert (failed.action, elsewhere.requests) == (Action.STOP, [])


def test_the_default_address_needs_a_key():
    """Without a key nothing is sent to the default provider; the message names the remedy."""
    with pytest.raises(ConfigError) as caught:
        OpenAIModel(OpenAISettings(model="m"))

    assert "OPENAI_API_KEY" in caught.value.hint


async def test_equal_requests_are_equal_bytes():
    """Nothing in a body depends on time or order of calls, so prefixes can be cached (R14)."""
    async with asking(ok("a"), ok("b")) as (model, server):
        await model.complete(REQUEST, on_text=discard_text)
        await model.complete(REQUEST, on_text=discard_text)

    assert server.requests[0].body == server.requests[1].body
