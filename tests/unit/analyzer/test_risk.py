"""What goes into the risk of a trace."""

import pytest

from halo_daemon.analyzer.risk import RiskScale, risk_signals
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import report_of


def signals(script):
    """The signals of the script's trace, no rule having found anything."""
    return risk_signals(TraceView(script.build(), MinerSettings()), ())


def called(*calls):
    """Calls of tools, each after a model call: (tool, result or ``!error``)."""
    script = TraceScript()
    for place, (tool, result) in enumerate(calls):
        script.model("Next.")
        if result.startswith("!"):
            script.tool(tool, {"n": place}, error=result[1:])
        else:
            script.tool(tool, {"n": place}, result=result)
    return script


@pytest.mark.parametrize(
    ("tool", "changes"),
    [
        ("update_order", True),
        ("get_order_update", False),
        ("transfer_funds", True),
        ("transfer_to_human_agents", False),
        ("handoff_to_agent", False),
        ("search", False),
    ],
)
def test_only_calls_that_change_the_world_count_as_such(tool, changes):
    """Reading and handing over change nothing outside the agent."""
    assert signals(called((tool, "ok"))).changed_something is changes


def test_a_result_without_new_words_is_stale():
    """What the task, the arguments or earlier results said already is nothing new."""
    found = signals(
        called(("find", "a red shoe"), ("find", "a red shoe"), ("find", "blue hat at noon"))
    )

    assert found.stale_results == 1


def test_only_errors_of_the_last_third_count_as_late():
    """An error at the start is part of finding out; one at the end is not made good."""
    early = called(("find", "!no"), ("find", "x"), ("find", "y"))
    late = called(("find", "x"), ("find", "y"), ("find", "!no"))

    assert (signals(early).late_errors, signals(late).late_errors) == (0, 1)


def test_risk_does_not_depend_on_units():
    """A window in which every number is a thousand times as large has the same risks."""
    window = [signals(called(*[("find", f"r{n}")] * n)) for n in range(1, 6)]
    scaled = [
        row._replace(spans=row.spans * 1000, output_size=row.output_size * 1000) for row in window
    ]

    assert [RiskScale(window).risk_of(row) for row in window] == [
        RiskScale(scaled).risk_of(row) for row in scaled
    ]


def test_a_finding_raises_the_risk():
    """Among runs alike in work the one with a finding is the riskiest."""
    quiet = [TraceScript(n).model("Yes.").answer("Yes.") for n in range(1, 20)]
    cut = TraceScript(20).model("Yes.").answer("")
    report = report_of([*quiet, cut])

    risks = {row.trace_id: row.risk for row in report.traces}
    assert max(risks, key=risks.__getitem__) == cut.trace_id
