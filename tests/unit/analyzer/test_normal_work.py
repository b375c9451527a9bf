"""What agents of other kinds do all day, which is no failure, and what is one beside it."""

import orjson
import pytest

from halo_daemon.analyzer.json_schema import violation
from halo_daemon.analyzer.miner import mine
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import observed
from tests.unit.analyzer.test_rules import calls

EMPTY: dict[str, object] = {}
SENT = ("send_sms", {"phone": "+49301234567"})
DENIED = "HTTPError: 403 Client Error: Forbidden"


def asks(place, text):
    """Attributes of a prompt whose message at *place* is a user's."""
    stem = f"llm.input_messages.{place}.message"
    return {f"{stem}.role": "user", f"{stem}.content": text}


def sent_again(text):
    """A code that is sent twice; the user says *text* before the second time."""
    script = (
        TraceScript().model(calls=[SENT], **asks(0, "I want to log in.")).tool(*SENT, result="ok")
    )
    script.model("It is sent.", **asks(0, "I want to log in."))
    script.model(calls=[SENT], **asks(2, text)).tool(*SENT, result="ok")
    return script.model("Sent.").answer("Sent.")


@pytest.mark.parametrize(
    ("rule", "script", "is_found"),
    [
        pytest.param(
            "double_side_effect",
            calls(*[("transfer_to_billing", EMPTY, "billing"), ("look", {"n": 1}, "x")] * 2),
            False,
            id="handed to one agent twice",
        ),
        pytest.param(
            "double_side_effect",
            calls(*[("transfer_to_agent", {"agent_name": "billing"}, "ok")] * 2),
            False,
            id="handed to an agent that an argument names",
        ),
        pytest.param(
            "double_side_effect",
            calls(*[("transfer_to_savings", {"amount": 5}, "ok")] * 2),
            True,
            id="money moved twice",
        ),
        pytest.param("double_side_effect", sent_again("Send it again."), False, id="asked anew"),
        pytest.param(
            "double_side_effect", sent_again("I want to log in."), True, id="the same request"
        ),
        pytest.param(
            "premature_end",
            TraceScript()
            .model("Bye.", calls=[("end_call", EMPTY)])
            .tool("end_call", EMPTY)
            .answer(""),
            False,
            id="hung up",
        ),
        pytest.param(
            "premature_end",
            TraceScript().model("", calls=[("look", EMPTY)]).tool("look", EMPTY).answer(""),
            True,
            id="an empty answer after a look",
        ),
        pytest.param(
            "near_repeat",
            calls(*[("tag_item", {"item_id": f"it_{n}", "tag": "seen"}, "ok") for n in "abcdef"]),
            False,
            id="one thing after the other is changed",
        ),
        pytest.param(
            "near_repeat",
            calls(
                *[("list_part", {"of": "the whole list", "n": n}, "none here") for n in range(6)]
            ),
            False,
            id="another number each time",
        ),
        pytest.param(
            "repeated_call",
            calls(*[("browser_press_key", {"key": "Tab"}, "Pressed key Tab")] * 4),
            False,
            id="a key pressed again and again",
        ),
        pytest.param(
            "negative_feedback",
            TraceScript().model("x", **asks(0, "The invoice you sent: that's wrong!")).answer("y"),
            False,
            id="a complaint that opens the conversation",
        ),
        pytest.param(
            "negative_feedback",
            TraceScript()
            .model("Monday?", **asks(0, "An appointment, please."))
            .model("Tuesday?", **asks(2, "No, not a Monday at all"))
            .model("Wednesday?", **asks(4, "No, not a Monday at all"))
            .answer("y"),
            False,
            id="the same answer to two questions",
        ),
    ],
)
def test_work_is_told_from_failure(rule, script, is_found):
    """The rule reports the failure and leaves what only looks like it alone."""
    assert (rule in {name for name, _ in observed(script)}) is is_found


@pytest.mark.parametrize(
    ("steps", "is_recovered"),
    [
        (
            (
                ("fetch_url", "https://a.example/1", f"!{DENIED}"),
                ("fetch_url", "https://b.example/", "x"),
            ),
            True,
        ),
        (
            (
                ("fetch_url", "https://b.example/", "x"),
                ("fetch_url", "https://a.example/1", f"!{DENIED}"),
            ),
            True,
        ),
        (
            (
                ("fetch_url", "https://a.example/2", "x"),
                ("fetch_url", "https://a.example/1", f"!{DENIED}"),
            ),
            False,
        ),
        (
            (
                ("call_api", "https://b.example/", "x"),
                ("call_api", "https://a.example/1", f"!{DENIED}"),
            ),
            False,
        ),
        ((("fetch_url", "https://a.example/1", f"!{DENIED}"),), False),
    ],
)
def test_another_page_makes_up_for_one_that_did_not_come(steps, is_recovered):
    """Pages of other sites do, before and after; what is no reader of pages has one way only."""
    between = [("think", {"n": n}, f"{n}") for n in range(4)]
    found = [(tool, {"url": url}, result) for tool, url, result in steps]
    script = calls(found[0], *between, *found[1:])

    groups = mine([script.build()], MinerSettings()).groups

    hits = [
        hit
        for key, group in groups.items()
        if key.rule == "infra_error"
        for hit in group.hits.values()
    ]
    assert [hit.is_recovered for hit in hits] == [is_recovered]


def test_a_limit_is_told_of_a_run_whose_tools_failed_before():
    """The end of a run is its own failure, be it that a tool failed long before and worked since."""
    script = calls(("find", {"q": 1}, "!HTTP 503"), ("find", {"q": 1}, "ok"))

    found = observed(script.fails("MaxTurnsExceeded: Max turns (10) exceeded"))

    assert {name for name, _ in found} >= {"budget_exhausted", "infra_error"}


@pytest.mark.parametrize(
    ("tail", "is_recovered"), [((), False), ((("find", {"q": 1}, "x"),), True)]
)
def test_more_rounds_of_a_circle_are_no_way_out(tail, is_recovered):
    """A circle is left when something else is called, not when it goes round once more."""
    circle = [("transfer_to_a", EMPTY, "a"), ("transfer_to_b", EMPTY, "b")] * 5

    groups = mine([calls(*circle, *tail).build()], MinerSettings()).groups

    (hits,) = [list(group.hits.values()) for key, group in groups.items() if key.rule == "cycle"]
    assert [hit.is_recovered for hit in hits] == [is_recovered]


_TAKES = {"type": "object", "required": ["order_id"], "properties": {"order_id": EMPTY}}


@pytest.mark.parametrize(
    "definition",
    [
        {"type": "function", "name": "find_order", "inputSchema": _TAKES},
        {"name": "find_order", "parameters_json_schema": _TAKES},
        {"toolSpec": {"name": "find_order", "inputSchema": {"json": _TAKES}}},
        {"type": "haystack.tools.tool.Tool", "data": {"name": "find_order", "parameters": _TAKES}},
    ],
)
def test_arguments_are_held_against_any_form_of_definition(definition):
    """Every framework has its own name for the schema of the arguments."""
    offer = {"llm.tools.0.tool.json_schema": orjson.dumps(definition).decode()}
    calls_it = TraceScript().model(calls=[("find_order", {"number": "1"})], **offer)

    assert "bad_arguments" in {name for name, _ in observed(calls_it)}


DAY = {"type": "string", "format": "date"}
MOMENT = {"type": "string", "format": "date-time"}


@pytest.mark.parametrize(
    ("schema", "value", "is_broken"),
    [
        (DAY, "2026-12-01", False),
        (DAY, "2026-12-01T10:00:00Z", False),
        (DAY, "01/12/26", True),
        (DAY, "tomorrow", True),
        (DAY, "", False),
        (MOMENT, "2026-12-01 10:00", False),
        (MOMENT, "1790000000", False),
        (MOMENT, "Tuesday at ten", True),
        ({"type": "string", "format": "hostname"}, "anything", False),
        ({"type": "string", "format": ["date"]}, "anything", False),
    ],
)
def test_a_date_is_written_as_the_schema_says(schema, value, is_broken):
    """Days begin with year, month and day; what lenient callers take for a moment is fine."""
    takes = {"type": "object", "properties": {"day": schema}}

    assert bool(violation({"day": value}, takes)) is is_broken


def test_what_has_a_default_may_be_left_out():
    """Some generators of schemas list what has a default among what is required."""
    takes = {"required": ["limit", "q"], "properties": {"limit": {"default": 5}, "q": EMPTY}}

    assert violation({"q": "x"}, takes) == ""
    assert violation({"limit": 5}, takes) == "`q` is missing"
