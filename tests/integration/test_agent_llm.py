"""The adapter against a scripted server: real sockets, every way to answer."""

import json

import pytest

from halo_daemon.analyzer.agent.model import Finish
from halo_daemon.testing.scripted_replies import (
    DONE,
    chat_event,
    cut_at,
    drip,
    drop_mid_stream,
    event,
    ok,
    sse,
)
from tests.integration.model_answers import FINISHED, REQUEST, asking, calls_of, reply_to

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


async def test_many_tiny_chunks_are_one_answer():
    """Twenty thousand one-letter chunks cost no more than their text (ST-15)."""
    chunks = b"".join(chat_event({"content": "x"}) for _ in range(20_000))

    reply = await reply_to(sse(chunks, FINISHED, DONE))

    assert len(reply.message.content) == 20_000


async def test_a_slow_stream_with_life_is_read_to_its_end():
    """Events that keep coming are an answer, however slowly (B-09)."""
    pieces = [chat_event({"content": letter}) for letter in "slowly"]

    reply = await reply_to(drip(*pieces, FINISHED, DONE), idle_timeout_s=0.5)

    assert reply.message.content == "slowly"


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
