import json

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.unit.proto.semconv.spans import added, meaning, projected

TAIL = [
    "inference.export.schema_version", "inference.project_id", "inference.observation_kind",
    "inference.llm.provider", "inference.llm.model_name", "inference.llm.input_tokens",
    "inference.llm.output_tokens", "inference.llm.cached_input_tokens",
    "inference.llm.reasoning_output_tokens", "inference.llm.cost.total", "inference.user_id",
    "inference.session_id", "inference.agent_name", "inference.agent_id",
]  # fmt: skip


def test_every_line_ends_with_the_same_keys():
    """Raw attributes come first, in order of arrival; then the keys of every line."""
    stored = projected({"b": 1, "a": 2})["attributes"]

    assert list(stored) == ["b", "a", *TAIL]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        pytest.param({}, "SPAN", id="nothing"),
        pytest.param({"gen_ai.request.model": "m"}, "LLM", id="a-model"),
        pytest.param({"gen_ai.operation.name": "invoke_agent", "llm.model_name": "m"}, "AGENT", id="explicit-beats-model"),
        pytest.param({"openinference.span.kind": "chain", "gen_ai.operation.name": "chat"}, "CHAIN", id="openinference-beats-genai"),
        pytest.param({"langfuse.observation.type": "generation", "openinference.span.kind": "CHAIN"}, "LLM", id="vendor-beats-openinference"),
        pytest.param({"inference.observation_kind": "GUARDRAIL", "langfuse.observation.type": "tool"}, "GUARDRAIL", id="trusted-beats-all"),
        pytest.param({"openinference.span.kind": "UNKNOWN"}, "SPAN", id="unknown"),
        pytest.param({"openinference.span.kind": 3, "gen_ai.operation.name": "chat"}, "LLM", id="wrong-type-falls-through"),
        pytest.param({"gen_ai.tool.name": "t"}, "TOOL", id="weak-sign"),
        pytest.param({"model": "iPhone", "input_tokens": 3}, "SPAN", id="bare-keys-mean-nothing"),
    ],
)  # fmt: skip
def test_kind_by_precedence(values, kind):
    """The most explicit word wins; without one, a model makes a model call."""
    assert meaning(values)["kind"] == kind


def test_a_method_that_prepares_a_call_makes_none():
    """What LlamaIndex puts together before each call is no call, though OpenInference says so."""
    told = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o"}

    assert meaning(told, name="OpenAI._prepare_chat_with_tools")["kind"] == "CHAIN"
    assert meaning(told, name="OpenAI.achat")["kind"] == "LLM"


def test_fields_fall_through_one_by_one():
    """Precedence is decided field by field: what one convention lacks the next may tell."""
    found = meaning(
        {
            "openinference.span.kind": "LLM",
            "llm.token_count.prompt": 5,
            "gen_ai.response.model": "served",
            "gen_ai.request.model": "asked",
            "gen_ai.usage.input_tokens": 7,
            "gen_ai.usage.completion_tokens": 2,
        }
    )

    assert found == {"kind": "LLM", "model_name": "served", "input_tokens": 5, "output_tokens": 2}


@pytest.mark.parametrize(
    ("sent", "stored"),
    [(12, 12), ("12", 12), (12.0, 12), ("12.0", 12), (0, 0), (-1, None), (True, None), (1.5, None), ("many", None), (2.0**70, None)],
)  # fmt: skip
def test_counts_are_integers(sent, stored):
    """Text and whole doubles become integers; what is no count is dropped."""
    found = meaning({"openinference.span.kind": "LLM", "llm.token_count.prompt": sent})

    assert found.get("input_tokens") == stored


@pytest.mark.parametrize("kind", ["AGENT", "CHAIN", "TOOL", "EVALUATOR", "SPAN"])
def test_totals_of_others_are_set_apart(kind):
    """Only a model call keeps its usage; elsewhere it is a total, and counted once."""
    values = {
        "inference.observation_kind": kind,
        "llm.token_count.prompt": 10,
        "llm.token_count.completion": 2,
        "llm.cost.total": 0.5,
    }

    assert meaning(values) == {"kind": kind}
    assert added(values) == {
        "halo.aggregate.input_tokens": 10,
        "halo.aggregate.output_tokens": 2,
        "halo.aggregate.cost.total": 0.5,
    }


@pytest.mark.parametrize(
    ("values", "input_tokens"),
    [
        pytest.param({"llm.token_count.prompt": 10, "llm.token_count.prompt_details.cache_read": 4}, 10, id="included"),
        pytest.param({"llm.token_count.prompt": 3, "llm.token_count.prompt_details.cache_read": 4}, 7, id="evidently-not"),
        pytest.param({"llm.token_count.prompt": 10, "llm.token_count.completion": 1, "llm.token_count.total": 15, "llm.token_count.prompt_details.cache_read": 4}, 14, id="total-shows-it"),
        pytest.param({"llm.token_count.prompt": 10, "llm.token_count.completion": 1, "llm.token_count.total": 11, "llm.token_count.prompt_details.cache_read": 4}, 10, id="total-confirms"),
        pytest.param({"llm.token_count.prompt_details.cache_read": 4, "llm.token_count.prompt_details.cache_write": 2}, 6, id="only-cached"),
    ],
)  # fmt: skip
def test_input_includes_cached_tokens(values, input_tokens):
    """Whatever the producer counts, cached input is part of the input."""
    found = meaning({"openinference.span.kind": "LLM", **values})

    assert found["input_tokens"] == input_tokens
    assert found["cached_input_tokens"] == 4


def test_raw_anthropic_counts_leave_cached_ones_out():
    """Claude Code counts cached input apart; it is added."""
    found = meaning(
        {
            "span.type": "llm_request",
            "model": "claude",
            "input_tokens": 100,
            "cache_read_tokens": 40,
            "cache_creation_tokens": 5,
        }
    )

    assert found["input_tokens"] == 145
    assert (found["provider"], found["model_name"]) == ("anthropic", "claude")


def test_costs_of_parts_are_added_up():
    """Without a total, input and output costs make it."""
    values = {
        "gen_ai.operation.name": "chat",
        "gen_ai.usage.input_cost": 0.25,
        "gen_ai.usage.output_cost": 0.5,
    }

    assert meaning(values)["cost.total"] == 0.75


def test_what_the_client_sent_under_our_keys_is_kept_aside():
    """C61: the project is the shard's; a client's own value survives under another key."""
    values = {
        "inference.project_id": "mine",
        "inference.llm.input_tokens": "12",
        "inference.observation_kind": "LLM",
    }

    stored = projected(values)["attributes"]

    assert stored["inference.project_id"] == "default"
    assert stored["inference.llm.input_tokens"] == 12
    assert list(stored)[:3] == list(values)
    assert {key: value for key, value in stored.items() if key.startswith("halo.")} == {
        "halo.client.inference.project_id": "mine",
        "halo.client.inference.llm.input_tokens": "12",
    }


def test_openinference_messages_are_never_written_over():
    """Messages in the common form win over every other form of them."""
    values = {
        "openinference.span.kind": "LLM",
        "llm.input_messages.0.message.role": "user",
        "gen_ai.input.messages": json.dumps([{"role": "user", "parts": []}]),
    }

    assert added(values) == {}


def test_index_bombs_are_bounded():
    """C55: an index of a thousand million makes one message, not a thousand million."""
    values = {f"gen_ai.prompt.{index}.content": str(index) for index in (999_999_999, 10, 2)}

    found = added({"gen_ai.operation.name": "chat", **values})

    contents = [value for key, value in found.items() if key.endswith(".content")]
    assert contents == ["2", "10", "999999999"]
    assert "llm.input_messages.2.message.content" in found


def test_cut_json_is_flagged_and_kept_raw():
    """JSON that arrived cut is no message; the raw text stays."""
    cut = '[{"role":"user","parts":[{"type":"te'

    assert added({"gen_ai.operation.name": "chat", "gen_ai.input.messages": cut}) == {
        "halo.truncated": True
    }


@pytest.mark.parametrize("kind", list(Span.SpanKind.values()))
def test_the_span_kind_says_nothing_of_the_observation(kind):
    """CLIENT and SERVER are no kinds of observations."""
    assert meaning({}, kind=kind)["kind"] == "SPAN"


@pytest.mark.parametrize(
    ("parent", "stored_parent"), [("00000000000000aa", "00000000000000aa"), ("0" * 16, ""), (7, "")]
)
def test_a_pending_span_is_the_span_that_it_announces(parent, stored_parent):
    """Logfire's first word of a span is stored under its id, without an end, so that they merge."""
    line = projected(
        {"logfire.span_type": "pending_span", "logfire.pending_parent_id": parent},
        span_id=(1).to_bytes(8),
        parent_span_id=(2).to_bytes(8),
    )

    assert line["span_id"] == "0000000000000002"
    assert line["parent_span_id"] == stored_parent
    assert line["end_time"] == "1970-01-01T00:00:00.000000000Z"
    assert line["attributes"]["halo.client.span_id"] == "0000000000000001"


def test_a_pending_span_that_announces_none_stays():
    """Without the id of another span it is stored as it came."""
    line = projected({"logfire.span_type": "pending_span"}, span_id=(1).to_bytes(8))

    assert line["span_id"] == "0000000000000001"


@pytest.mark.parametrize("key", ["input.value", "output.value", "tool.parameters"])
def test_cut_json_is_flagged_wherever_it_stands(key):
    """A value that was sent in its field is kept as it is, and that it was cut is told."""
    cut = '{"rows": [{"id": 1}, {"id'

    stored = projected({"openinference.span.kind": "TOOL", "tool.name": "f", key: cut})[
        "attributes"
    ]

    assert (stored[key], stored["halo.truncated"]) == (cut, True)


@pytest.mark.parametrize("kind", ["LLM", "CHAIN", "SPAN"])
def test_documents_are_those_of_retrievers(kind):
    """Documents found on another kind of span stay in their event, or its kind would change."""
    event = ("db.query.result", {"db.query.result.id": "d"})

    stored = projected({"inference.observation_kind": kind}, events=(event,))["attributes"]

    assert not any(key.startswith("retrieval.") for key in stored)
