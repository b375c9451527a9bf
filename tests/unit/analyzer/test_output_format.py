"""Answers held against the form that was asked for."""

import orjson
import pytest

from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import observed

SCHEMA = {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}


def asked(answer, finish="stop", **attributes):
    """A run of one call with what it was asked for."""
    script = TraceScript().model(answer, finish=finish, **attributes)
    return ("output_format", "m-1") in observed(script)


def parameters(**request):
    """The parameters of a request, as instrumentations record them."""
    return {"llm.invocation_parameters": orjson.dumps(request).decode()}


STRICT = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA}}
FORMS = [
    pytest.param(parameters(response_format=STRICT), id="OpenAI, Chat Completions"),
    pytest.param(
        parameters(text={"format": {"type": "json_schema", "schema": SCHEMA}}),
        id="OpenAI, Responses",
    ),
    pytest.param(
        parameters(output_format={"type": "json_schema", "schema": SCHEMA}), id="Anthropic"
    ),
    pytest.param(
        parameters(output_config={"format": {"type": "json_schema", "schema": SCHEMA}}),
        id="Anthropic, newer",
    ),
    pytest.param(
        parameters(response_mime_type="application/json", response_schema=SCHEMA), id="Gemini"
    ),
    pytest.param(parameters(format=SCHEMA), id="Ollama"),
    pytest.param({"ai.schema": orjson.dumps(SCHEMA).decode()}, id="AI SDK"),
    pytest.param(
        {"gen_ai.request.structured_output_schema": orjson.dumps(SCHEMA).decode()},
        id="OpenLLMetry",
    ),
]


@pytest.mark.parametrize("attributes", FORMS)
def test_an_answer_that_breaks_the_schema_of_its_call_is_found(attributes):
    """Whatever a provider calls the schema; an answer that keeps it is fine."""
    assert asked('{"town": "Graz"}', **attributes)
    assert asked("It is Graz.", **attributes)
    assert not asked('{"city": "Graz"}', **attributes)
    assert not asked('```json\n{"city": "Graz"}\n```', **attributes)


UNNAMED = [
    pytest.param(parameters(response_format={"type": "json_object"}), id="OpenAI"),
    pytest.param(parameters(format="json"), id="Ollama"),
    pytest.param(
        parameters(config={"response_mime_type": "application/json"}), id="Gemini, nested"
    ),
    pytest.param({"gen_ai.output.type": "json"}, id="GenAI conventions"),
    pytest.param({"gen_ai.openai.request.response_format": "json_object"}, id="older ones"),
]


@pytest.mark.parametrize("attributes", UNNAMED)
def test_words_where_json_was_asked_for_are_found(attributes):
    """Without a schema any JSON will do, and words will not."""
    assert asked("It is Graz.", **attributes)
    assert asked('{"city": Graz}', **attributes)
    assert not asked('{"town": "Graz"}', **attributes)


QUIET = [
    pytest.param("It is Graz.", {}, "stop", id="nothing was asked for"),
    pytest.param(
        "It is Graz.", parameters(response_format={"type": "text"}), "stop", id="words asked for"
    ),
    pytest.param('{"city": "Gr', parameters(format="json"), "stop", id="cut where it was recorded"),
    pytest.param("It is", parameters(format="json"), "length", id="cut by the limit"),
    pytest.param("I can", parameters(format="json"), "content_filter", id="held back"),
    pytest.param("", parameters(format="json"), "stop", id="not recorded"),
    pytest.param(
        "5",
        parameters(response_mime_type="application/json", response_schema={"type": "INTEGER"}),
        "stop",
        id="a schema in other words",
    ),
]


@pytest.mark.parametrize(("answer", "attributes", "finish"), QUIET)
def test_what_was_not_asked_for_or_is_not_whole_is_not_judged(answer, attributes, finish):
    """Only whole answers to a request for JSON are held against it."""
    assert not asked(answer, finish, **attributes)


def test_a_call_that_asks_for_a_tool_answers_later():
    """Words beside a call of a tool are no answer."""
    script = TraceScript().model(
        "I look.", calls=[("find", {})], finish="stop", **parameters(format="json")
    )
    assert "output_format" not in {rule for rule, _ in observed(script)}


@pytest.mark.parametrize("text", ["```" + "\n" * 150_000 + "x", "```\n" * 40_000 + "x"])
def test_a_long_answer_whose_fence_stays_open_was_cut(text):
    """It is not judged, and what a model writes never decides how long it takes to look."""
    assert not asked(text, **parameters(format="json"))
