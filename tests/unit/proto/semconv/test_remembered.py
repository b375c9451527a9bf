import sys

from halo_daemon.proto.semconv.names import kind_by_name
from halo_daemon.proto.semconv.plan import plan_of

LONG = "x" * 100_000


def test_what_is_long_is_read_and_let_go():
    """A name, a key or a kind as long as a request may be does not stay in memory."""
    name, key, kind = "chat " + LONG, "gen_ai.prompt." + LONG, "ai.toolCall " + LONG
    held = [sys.getrefcount(text) for text in (name, key, kind)]

    assert kind_by_name("execute_tool " + LONG, "") == "TOOL"
    kind_by_name(name, "")
    plan_of({key: 1})
    values = {"operation.name": kind}
    plan = plan_of(values).by_answer(values)
    del values

    assert plan is not None
    assert plan.kind == "TOOL"
    assert [sys.getrefcount(text) for text in (name, key, kind)] == held


def test_names_that_stand_in_no_table_tell_nothing():
    """Whole names, beginnings and ends are looked for where the tables have them."""
    assert kind_by_name("GET /orders/17", "") is None
    assert kind_by_name("call_llm", "gcp.vertex.agent") == "LLM"
    assert kind_by_name("execute_tool f", "") == "TOOL"
    assert kind_by_name("CodeAgent.run", "") == "AGENT"
    assert kind_by_name("Weather.run", "") is None
