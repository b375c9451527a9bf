"""The adapter against a scripted server: what fails, and what it says to do."""

import asyncio
import ssl

import pytest

from halo_daemon.analyzer.agent.errors import Action, ModelError
from halo_daemon.analyzer.agent.llm import OpenAIModel, OpenAISettings
from halo_daemon.analyzer.agent.model import ModelRequest, discard_text
from halo_daemon.testing.scripted_model import ScriptedModelServer
from halo_daemon.testing.scripted_replies import (
    DONE,
    chat_event,
    comments_only,
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
from tests.integration.model_answers import REQUEST, asking, failure_of

RETRY, STOP, SHRINK = Action.RETRY, Action.STOP, Action.SHRINK


async def test_a_response_without_its_last_event_is_cut():
    """Items alone are no answer: the end has to come (ST-16, ST-07)."""
    item = {"type": "message", "content": [{"type": "output_text", "text": "Looking."}]}

    failed = await failure_of(
        sse(event({"type": "response.output_item.done", "item": item})), api="responses"
    )

    assert failed.action is Action.RETRY


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
    ("header", "value", "wait_s"),
    [("retry_after", "2", 2.0), ("retry_after_ms", "150", 0.15), ("retry_after", "nonsense", 0.0)],
)
async def test_the_wait_that_is_asked_for_is_read(header, value, wait_s):
    """Seconds and milliseconds are read; anything else asks for nothing (H-08, H-10)."""
    failed = await failure_of(error(429, "slow down", **{header: value}))

    assert failed.retry_after_s == wait_s


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
    ("code", "action"), [("server_error", Action.RETRY), ("rate_limit_exceeded", Action.RETRY)]
)
async def test_a_failed_response_is_an_error(code, action):
    """`response.failed` follows the policy of its code (F-09)."""
    body = {"status": "failed", "error": {"code": code, "message": "no"}}

    failed = await failure_of(
        sse(event({"type": "response.failed", "response": body})), api="responses"
    )

    assert failed.action is action


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
