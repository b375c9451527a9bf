import pytest

from halo_daemon.analyzer.miner import mine
from halo_daemon.analyzer.rules.registry import RULES
from halo_daemon.analyzer.rules.rule import Rule
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import observed

SCHEMA = {
    "type": "object",
    "required": ["order_id"],
    "properties": {"order_id": {"type": "string"}, "limit": {"type": "integer"}},
    "additionalProperties": False,
}
OFFER = {"find_order": SCHEMA}


def calls(*steps):
    """A trace that calls tools, each after a model call that asked for it."""
    script = TraceScript()
    for name, arguments, outcome in steps:
        script.model("I call it.", calls=[(name, arguments)])
        if outcome.startswith("!"):
            script.tool(name, arguments, error=outcome[1:])
        else:
            script.tool(name, arguments, result=outcome)
    return script.model("Done.").answer("Done.")


ASK = {"q": "shoes"}

FIRES = [
    pytest.param("tool_error", calls(("search", ASK, "!index is broken")), id="tool error"),
    pytest.param("infra_error", calls(("search", ASK, "!HTTP 429")), id="rate limit"),
    pytest.param("infra_error", calls(("search", ASK, "!Request timed out")), id="timeout"),
    pytest.param(
        "bad_arguments",
        calls(("search", ASK, "!search() got an unexpected keyword argument 'q'")),
        id="refused arguments",
    ),
    pytest.param(
        "bad_arguments",
        TraceScript().model(calls=[("find_order", {"id": 1})], offers=OFFER),
        id="arguments against the schema",
    ),
    pytest.param(
        "bad_arguments",
        TraceScript().model(calls=[("find_order", '{"order_id": "1')], offers=OFFER),
        id="arguments that are not JSON",
    ),
    pytest.param(
        "made_up_tool",
        TraceScript().model(calls=[("refund_all", {})], offers=OFFER),
        id="tool not offered",
    ),
    pytest.param(
        "made_up_tool", calls(("refund", {}, "!Unknown tool 'refund'")), id="tool refused"
    ),
    pytest.param("repeated_call", calls(*[("search", ASK, "none")] * 3), id="loop"),
    pytest.param(
        "repeated_call",
        calls(
            ("search", ASK, "none"),
            ("get_user", {"id": 1}, "Jo"),
            ("search", ASK, "none"),
            ("search", {"q": "shoes "[:-1]}, "none"),
        ),
        id="loop around a read",
    ),
    pytest.param(
        "blind_retry", calls(("book", ASK, "!no seats"), ("book", ASK, "!no seats")), id="retry"
    ),
    pytest.param("truncated_output", TraceScript().model("a b", finish="length"), id="cut"),
    pytest.param("truncated_output", TraceScript().model('{"plan": ["a", "b'), id="unclosed JSON"),
    pytest.param(
        "truncated_output",
        TraceScript().model("Run this:\n```py\nfor row in rows:\n    print(row, sum("),
        id="unclosed code",
    ),
    pytest.param("filtered_output", TraceScript().model(finish="content_filter"), id="filter"),
    pytest.param(
        "premature_end",
        TraceScript()
        .model(calls=[("search", ASK)])
        .tool("search", ASK, result="x")
        .model(calls=[("search", {"q": "boots"})]),
        id="call that never ran",
    ),
    pytest.param("premature_end", TraceScript().model("x").answer(""), id="empty answer"),
    pytest.param(
        "premature_end",
        TraceScript()
        .model("I look.", calls=[("search", ASK)])
        .tool("search", ASK, result="x")
        .model("", finish="stop"),
        id="silence at the end",
    ),
    pytest.param(
        "budget_exhausted",
        TraceScript().model("x").fails("Reached maximum number of iterations"),
        id="limit on steps",
    ),
    pytest.param("span_error", TraceScript().step("CHAIN", "Step 3", error="boom"), id="chain"),
]

STAYS_QUIET = [
    pytest.param("tool_error", calls(("search", ASK, "Errors: 0")), id="a result about errors"),
    pytest.param(
        "bad_arguments",
        TraceScript().model(calls=[("find_order", {"order_id": "1", "limit": "5"})], offers=OFFER),
        id="a number as text",
    ),
    pytest.param(
        "bad_arguments",
        TraceScript().model(calls=[("find_order", {"order_id": "1", "limit": None})], offers=OFFER),
        id="null for an optional parameter",
    ),
    pytest.param(
        "bad_arguments", TraceScript().model(calls=[("python", "print(1)")]), id="free text"
    ),
    pytest.param(
        "made_up_tool",
        TraceScript().model(calls=[("functions.find_order", {"order_id": "1"})], offers=OFFER),
        id="a framework's prefix",
    ),
    pytest.param("made_up_tool", TraceScript().model(calls=[("x", {})]), id="no offer recorded"),
    pytest.param(
        "repeated_call", calls(*[("get_status", ASK, "running")] * 5), id="a tool that polls"
    ),
    pytest.param(
        "repeated_call",
        calls(*[("get_job", ASK, "running")] * 5, ("get_job", ASK, "done")),
        id="a wait for a change that came",
    ),
    pytest.param("repeated_call", calls(*[("list_all", {}, "x")] * 3), id="no arguments"),
    pytest.param(
        "repeated_call",
        calls(("search", ASK, "1"), ("search", ASK, "2"), ("search", ASK, "3")),
        id="results that change",
    ),
    pytest.param(
        "repeated_call",
        calls(
            ("search", ASK, "none"),
            ("update_order", {"n": 1}, "ok"),
            ("search", ASK, "none"),
            ("update_order", {"n": 2}, "ok"),
            ("search", ASK, "none"),
        ),
        id="a write in between",
    ),
    pytest.param(
        "repeated_call",
        calls(
            *[("bash", {"command": "make test"}, "1 failed"), ("bash", {"command": "ed"}, "")] * 3
        ),
        id="tests run again after an edit",
    ),
    pytest.param("repeated_call", calls(*[("search", ASK, "!no")] * 3), id="failing calls"),
    pytest.param("repeated_call", calls(*[("search", ASK, "none")] * 2), id="only twice"),
    pytest.param(
        "blind_retry",
        calls(("book", ASK, "!no luck"), ("book", ASK, "ok")),
        id="a retry that helped",
    ),
    pytest.param(
        "blind_retry", calls(("book", ASK, "!HTTP 503"), ("book", ASK, "!HTTP 503")), id="an outage"
    ),
    pytest.param(
        "blind_retry",
        calls(("book", ASK, "!no seats"), ("book", {"q": "boots"}, "ok")),
        id="other arguments",
    ),
    pytest.param("truncated_output", TraceScript().model('{"a": 1}', finish="stop"), id="whole"),
    pytest.param("truncated_output", TraceScript().model("[1] is a source"), id="a footnote"),
    pytest.param(
        "truncated_output",
        TraceScript().model("[ 2 + 2 ] is four, as anyone can see."),
        id="a sentence after a bracket",
    ),
    pytest.param(
        "truncated_output",
        TraceScript().model("```py\nrows = load()\nprint(rows)"),
        id="a loop that stops the model at the closing fence",
    ),
    pytest.param(
        "truncated_output",
        TraceScript().model("```py\nf(\n  1,\n```\nwhere f is (", finish=""),
        id="a closed block",
    ),
    pytest.param(
        "premature_end",
        TraceScript().model(calls=[("search", ASK)]).answer("done"),
        id="no tool spans recorded",
    ),
    pytest.param("premature_end", calls(("search", ASK, "x")), id="an answer"),
    pytest.param(
        "premature_end",
        TraceScript().model("").tool("search", ASK, result="x").model("", finish="stop"),
        id="no words recorded",
    ),
    pytest.param(
        "premature_end",
        TraceScript().model("I look.").model("", finish="content_filter"),
        id="a filter's doing",
    ),
    pytest.param("budget_exhausted", TraceScript().model("x").answer("2 steps"), id="steps"),
]


@pytest.mark.parametrize(("rule", "script"), FIRES)
def test_a_rule_finds_its_failure(rule, script):
    """The rule reports the trace."""
    assert rule in {name for name, _ in observed(script)}


@pytest.mark.parametrize(("rule", "script"), STAYS_QUIET)
def test_a_rule_leaves_a_near_miss_alone(rule, script):
    """What looks alike and is no failure is not reported."""
    assert rule not in {name for name, _ in observed(script)}


def test_a_leaf_error_is_reported_once():
    """The parent that repeats its child's error is not counted, and one rule has the error."""
    script = calls(("search", ASK, "!index is broken")).fails("index is broken")

    assert observed(script) == {("tool_error", "search")}


def test_recovery_is_seen():
    """A success of the same tool soon after is the recovery, and is cited."""
    script = calls(("search", ASK, "!broken"), ("search", {"q": "boots"}, "found"))

    (group,) = mine([script.build()], MinerSettings()).groups.values()

    (hit,) = group.hits.values()
    assert hit.is_recovered
    assert [role.role for role in hit.roles] == ["symptom", "decision", "recovery"]


def test_trying_on_until_it_works_is_a_recovery():
    """However often the same call is tried within bounds, the success makes up for all tries."""
    script = calls(*[("find", ASK, "!HTTP 504")] * 5, ("find", ASK, "ok"))

    known = mine([script.answer("done").build()], MinerSettings())

    hits = [hit for key, group in known.groups.items() for hit in group.hits.values()]
    assert [(hit.occurrences, hit.is_recovered) for hit in hits] == [(5, True)]


def test_a_success_long_after_is_no_recovery():
    """Only the next turns count."""
    script = calls(
        ("search", ASK, "!broken"),
        ("a", {"x": 1}, "ok"),
        ("b", {"x": 2}, "ok"),
        ("c", {"x": 3}, "ok"),
        ("search", {"q": "boots"}, "found"),
    )

    (group,) = mine([script.build()], MinerSettings()).groups.values()

    assert not next(iter(group.hits.values())).is_recovered


def test_the_decision_is_the_model_call_before():
    """The cited decision span is the LLM span that ended last before the error did."""
    script = calls(("a", {"x": 1}, "ok"), ("search", ASK, "!broken"))
    spans = script.spans()

    (group,) = mine([script.build()], MinerSettings()).groups.values()

    cited = [(role.role, role.span_id) for role in next(iter(group.hits.values())).roles]
    assert cited[:2] == [("symptom", spans[4].span_id), ("decision", spans[3].span_id)]


def test_a_failing_rule_costs_only_itself():
    """A rule that raises is counted as not checked; the others report all the same."""

    def broken(view):
        raise RuntimeError("bug")

    rules = (Rule("broken", 1, "traces", broken), *RULES)
    known = mine([calls(("search", ASK, "!index is broken")).build()], MinerSettings(), rules)

    assert known.checked["broken@1"].not_checked["rule_failed"] == 1
    assert {key.rule for key in known.groups} == {"tool_error"}
