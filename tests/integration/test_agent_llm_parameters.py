"""The adapter against a scripted server: what a server refuses is not sent again."""

import pytest

from halo_daemon.analyzer.agent.errors import Action, ModelError
from halo_daemon.analyzer.agent.llm import OpenAIModel, OpenAISettings
from halo_daemon.analyzer.agent.model import ModelRequest, discard_text
from halo_daemon.errors import ConfigError
from halo_daemon.testing.scripted_replies import error, ok, status
from tests.integration.model_answers import REQUEST, TOOLS, asking


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
