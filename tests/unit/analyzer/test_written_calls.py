"""Calls of tools that a model wrote into its answer."""

import pytest

from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import observed, report_of

OFFERS = {"get_rate": {"type": "object"}, "mcp__hotels__find": {"type": "object"}}
CALL = '{"name": "get_rate", "arguments": {"hotel_id": "H-1"}}'

WRITTEN = [
    pytest.param(CALL, id="JSON alone"),
    pytest.param(f"Let me look that up.\n{CALL}", id="JSON after words"),
    pytest.param(f"```json\n{CALL}\n```", id="JSON in a fence"),
    pytest.param(f"<tool_call>\n{CALL}\n</tool_call>", id="Hermes, Qwen"),
    pytest.param(f"<tool_call>{CALL}", id="Hermes, not closed"),
    pytest.param(f"[TOOL_CALLS][{CALL}]", id="Mistral"),
    pytest.param('[TOOL_CALLS]get_rate[ARGS]{"hotel_id": "H-1"}', id="Mistral, newer"),
    pytest.param('<function=get_rate>{"hotel_id": "H-1"}</function>', id="Llama 3"),
    pytest.param('<|python_tag|>get_rate.call(hotel_id="H-1")', id="Llama 3, built-in"),
    pytest.param('[get_rate(hotel_id="H-1")]', id="Llama 4"),
    pytest.param('get_rate(hotel_id="H-1")', id="code alone"),
    pytest.param('```tool_code\nprint(default_api.get_rate(hotel_id="H-1"))\n```', id="Gemini"),
    pytest.param(
        '<|channel|>commentary to=functions.get_rate<|message|>{"hotel_id": "H-1"}', id="gpt-oss"
    ),
    pytest.param(
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_rate\n", id="DeepSeek"
    ),
    pytest.param('<function_calls>\n<invoke name="get_rate">', id="Claude"),
    pytest.param('{"tool": "get_rate", "tool_input": "H-1"}', id="LangChain"),
    pytest.param('{"action": "get_rate", "action_input": {}}', id="LangChain, structured"),
    pytest.param('Action: get_rate\nAction Input: {"hotel_id": "H-1"}', id="ReAct"),
    pytest.param(
        '{"tool_calls": [{"function": {"name": "get_rate", "arguments": "{}"}}]}', id="OpenAI"
    ),
    pytest.param('{"name": "find", "parameters": {}}', id="without the server's prefix"),
]


@pytest.mark.parametrize("text", WRITTEN)
def test_a_call_in_the_final_answer_is_found_in_every_form(text):
    """Whatever a family of models writes, it names an offered tool, and nothing ran."""
    script = TraceScript().model(text, offers=OFFERS, finish="stop").answer(text)
    assert ("written_call", "m-1") in observed(script)


QUIET = [
    pytest.param(
        TraceScript().model(CALL, offers=OFFERS).tool("get_rate", {"hotel_id": "H-1"}, result="7"),
        id="a framework read the call and ran it",
    ),
    pytest.param(
        TraceScript().model(CALL, offers=OFFERS).model("It costs 7.", offers=OFFERS),
        id="what runs calls is not recorded, and the model went on",
    ),
    pytest.param(
        TraceScript().model(CALL), id="nothing was offered: the prompt asks for this form"
    ),
    pytest.param(
        TraceScript().model('{"name": "Anna", "arguments": {}}', offers=OFFERS), id="another name"
    ),
    pytest.param(
        TraceScript().model('{"name": "get_rate", "price": 7}', offers=OFFERS), id="no arguments"
    ),
    pytest.param(
        TraceScript().model("I would use get_rate(hotel_id) for that.", offers=OFFERS),
        id="a tool is spoken of",
    ),
    pytest.param(
        TraceScript().model(CALL, calls=[("get_rate", {"hotel_id": "H-1"})], offers=OFFERS),
        id="the call was made as well",
    ),
]


@pytest.mark.parametrize("script", QUIET)
def test_what_only_looks_like_a_written_call_is_left_alone(script):
    """A call that came through, or that is none, is no finding."""
    assert "written_call" not in {rule for rule, _ in observed(script)}


def corrected(number):
    """A run whose model wrote a call, was asked again, and made it."""
    script = TraceScript(number).tool("other", {}, result="1").model(CALL, offers=OFFERS)
    script.model("Again.", calls=[("get_rate", {"hotel_id": "H-1"})], offers=OFFERS)
    return script.tool("get_rate", {"hotel_id": "H-1"}, result="7").answer("7")


def test_a_call_that_is_made_in_the_end_counts_as_recovered():
    """It is counted among the traces that called the model, and weighs little."""
    clean = [TraceScript(n).model("Hello.", offers=OFFERS).answer("Hello.") for n in range(5, 20)]
    report = report_of([*map(corrected, (1, 2, 3)), *clean])
    (finding,) = (f for f in report.findings if "writes calls of tools" in f.title)
    assert finding.counts.recovered == finding.counts.affected_traces == 3
    assert finding.counts.eligible_traces == len(clean) + 3
    assert finding.severity == "low"


PLACEHOLDERS = [
    "<ORDER_ID>",
    "<order_id>",
    "<your order id>",
    "[INSERT ORDER ID]",
    "{{order_id}}",
    "${order.id}",
    "YOUR_ORDER_ID",
    "your-api-key",
    "order_id_here",
    "placeholder_id",
    "TODO",
    "undefined",
    "[object Object]",
    "NaN",
]


@pytest.mark.parametrize("value", PLACEHOLDERS)
def test_a_placeholder_where_a_value_belongs_is_a_bad_argument(value):
    """The tool ran with it all the same, and answered something."""
    script = TraceScript().model("I look.", calls=[("find_order", {"order_id": value})])
    script.tool("find_order", {"order_id": value}, result='{"state": "none"}')
    assert ("bad_arguments", "find_order") in observed(script)


NO_PLACEHOLDERS = [
    pytest.param("find_order", {"order_id": "A-123"}, id="a value"),
    pytest.param("find_order", {"order_id": "<b>"}, id="markup"),
    pytest.param("find_order", {"order_id": "your order"}, id="words"),
    pytest.param("find_order", {"state": "undefined state"}, id="a word and more"),
    pytest.param("search", {"query": "undefined"}, id="what is searched for is undefined"),
    pytest.param("find_order", {"note": "sent to <ORDER_ID> as asked"}, id="within a text"),
    pytest.param("create_template", {"body": "{{name}}"}, id="a template's text"),
    pytest.param("find_order", {"search_query": "TODO"}, id="what is searched for"),
    pytest.param("find_order", {"state": "[OPEN]"}, id="one word in brackets"),
    pytest.param("python", {"value": "${HOME}"}, id="a tool that runs anything"),
    pytest.param("find_order", {"state": "available_there"}, id="a word that ends alike"),
]


@pytest.mark.parametrize(("tool", "arguments"), NO_PLACEHOLDERS)
def test_what_only_looks_like_a_placeholder_is_left_alone(tool, arguments):
    """Texts may hold placeholders, and values may look like them in part."""
    script = TraceScript().model("I look.", calls=[(tool, arguments)])
    script.tool(tool, arguments, result='{"state": "sent"}')
    assert "bad_arguments" not in {rule for rule, _ in observed(script)}


def test_a_placeholder_that_the_tool_refuses_is_one_finding():
    """The error says it; the same call is not told of twice."""
    arguments = {"order_id": "<ORDER_ID>"}
    script = TraceScript().model("I look.", calls=[("find_order", arguments)])
    script.tool("find_order", arguments, error="order <ORDER_ID> not found")
    assert observed(script) == {("tool_error", "find_order")}


def test_arguments_that_are_no_json_are_one_finding_with_the_error_they_lead_to():
    """A parser's message about a tool's broken arguments is not an error of the tool."""
    broken = '{"order_id": "A-1", "sta'
    script = TraceScript().model("I look.", calls=[("find_order", broken)])
    script.tool("find_order", broken, error="JSONDecodeError: Unterminated string at column 22")
    assert observed(script) == {("bad_arguments", "find_order")}


def claiming(**attributes):
    """A run of one answer and no call, with tools at hand."""
    script = TraceScript().model(
        "I have booked H-1 for you.", offers=OFFERS, finish="stop", **attributes
    )
    return script.answer("I have booked H-1 for you.")


def test_a_deed_that_is_claimed_in_a_run_without_any_call_was_not_done():
    """Tools were offered, none was asked for, and nothing went before."""
    told = {"llm.input_messages.0.message.role": "user"}
    assert ("claimed_not_done", "") in observed(claiming(**told))


BEFORE = [
    pytest.param({"llm.input_messages.0.message.role": "assistant"}, id="an earlier turn"),
    pytest.param({"llm.input_messages.0.message.role": "tool"}, id="an earlier result"),
    pytest.param({"gen_ai.response.finish_reasons": ["tool_calls"]}, id="a call not recorded"),
]


@pytest.mark.parametrize("attributes", BEFORE)
def test_a_deed_may_have_been_done_before_the_run_began(attributes):
    """What an earlier turn did is in another trace, and no claim is held against this one."""
    assert "claimed_not_done" not in {rule for rule, _ in observed(claiming(**attributes))}


def test_a_deed_may_have_been_done_by_a_step_that_is_no_tool():
    """A workflow's own step sends what the model only wrote."""
    script = claiming().step("CHAIN", "send_mail")
    assert "claimed_not_done" not in {rule for rule, _ in observed(script)}
