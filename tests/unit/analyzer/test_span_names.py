"""Names of spans that came and went between two windows."""

from halo_daemon.analyzer.changes import MAX_SPAN_NAMES
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import report_of


def runs(*names, first=1, number=20):
    """Runs with a step of each of those names, and a tool."""
    scripts = []
    for place in range(number):
        script = TraceScript(first + place).tool("search", {"q": place}, result="x")
        for name in names:
            script.step("CHAIN", name)
        scripts.append(script)
    return scripts


def changes(report):
    """(change, kind, name) of all that came and went."""
    return {(row.change, row.kind, row.name) for row in report.what_changed}


def test_a_new_and_a_vanished_step_are_told():
    """What is no tool is told by its name, counters masked; tools are told as tools."""
    first = report_of(runs("plan 1", "rank"))
    second = report_of(runs("plan 2", "rerank", first=100), previous=first)

    assert changes(second) == {("new", "span name", "rerank"), ("gone", "span name", "rank")}


def test_a_report_that_does_not_know_names_is_no_measure():
    """After an upgrade not every name is new."""
    first = report_of(runs("plan"))
    old = tuple(row for row in first.dataset.inventory if row.kind != "span name")
    dataset = first.dataset.model_copy(update={"inventory": old})
    before = first.model_copy(update={"dataset": dataset})

    assert changes(report_of(runs("rank", first=100), previous=before)) == set()


def test_more_names_than_are_kept_are_not_compared():
    """Where a list is cut, what is missing from it did not go."""
    letters = "abcdefghijk"
    many = [f"step {one}{two}" for one in letters for two in letters]
    first = report_of(runs(*many, number=3))
    second = report_of(runs("plan", first=100), previous=first)

    assert sum(row.kind == "span name" for row in first.dataset.inventory) == MAX_SPAN_NAMES
    assert changes(second) == set()
