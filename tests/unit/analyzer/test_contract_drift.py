import random

import pytest

from halo_daemon.analyzer.contract_drift import add_contract_drift
from halo_daemon.analyzer.contract_file import contract_of
from halo_daemon.analyzer.miner import mine
from halo_daemon.analyzer.partial import Partial
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.tool_lists import digest_of, shape_of
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import report_of

RULE = "contract_drift@1"


def schema(*required, **types):
    """A JSON Schema of an object."""
    properties = {name: {"type": kind} for name, kind in types.items()}
    return {"type": "object", "required": list(required), "properties": properties}


OLD = schema("id", id="string")
NEW = schema("id", "why", id="string", why="string")


def run(number, parameters, *, result='{"state": "ok"}'):
    """A run that was offered a tool with those parameters, and used it."""
    script = TraceScript(number)
    script.model("Look.", offers={"refund": parameters, "other": OLD})
    return script.tool("refund", {"id": "7", "why": "x"}, result=result).answer("So.")


def drifts(scripts, **options):
    """Title and affected traces of every drift of a report."""
    report = report_of(scripts, **options)
    found = [f for f in (*report.findings, *report.weak_signals) if f.source == f"rule:{RULE}"]
    assert all(f.verified for f in found)
    return report, [(f.title, f.counts.affected_traces) for f in found]


CHANGE = "`refund` changed what it takes: `(id: string) → (id: string, why: string)`"


def test_a_definition_that_changes_within_the_window_is_a_finding():
    """Ten runs with the old one, then twenty with the new one: those are named, as low."""
    report, found = drifts([run(n, OLD if n <= 10 else NEW) for n in range(1, 31)])

    assert found == [(CHANGE, 20)]
    (finding,) = report.findings
    assert (finding.severity, finding.certainty) == ("low", "event")
    assert [row.role for row in finding.evidence][:2] == ["symptom", "counterexample"]
    assert '"why"' in finding.evidence[0].quote


def test_of_two_definitions_side_by_side_the_rarer_is_named():
    """Every tenth run is offered another one."""
    _, found = drifts([run(n, NEW if n % 10 == 1 else OLD) for n in range(1, 41)])

    assert found == [(CHANGE, 4)]


def test_a_definition_that_changed_between_windows_is_a_finding_once():
    """New against the report before; known in the one after."""
    first, none = drifts([run(n, OLD) for n in range(1, 11)])
    second, found = drifts([run(n, NEW) for n in range(11, 21)], previous=first)
    _, again = drifts([run(n, NEW) for n in range(21, 31)], previous=second)

    assert (none, found, again) == ([], [(CHANGE, 10)], [])
    assert {row.kind for row in second.what_changed} == {"tool list"}


@pytest.mark.parametrize(
    "schemas",
    [
        pytest.param(
            [OLD, {"required": ["id"], "properties": OLD["properties"], "type": "object"}],
            id="another order",
        ),
        pytest.param([OLD, {**OLD, "description": "As of today.", "title": "Refund"}], id="words"),
        pytest.param(
            [schema(id="string", **{f"p{n}": "string"}) for n in range(6)],
            id="made anew for every run",
        ),
        pytest.param([OLD], id="no change"),
    ],
)
def test_what_only_looks_different_is_no_drift(schemas):
    """Order, words for people, and tools whose definition depends on the run."""
    assert drifts([run(n, schemas[n % len(schemas)]) for n in range(1, 31)])[1] == []


def test_a_parameter_called_title_counts():
    """A keyword of that name explains, a parameter is one."""
    assert digest_of(schema(title="string")) != digest_of(schema(title="integer"))
    assert digest_of({**OLD, "title": "a"}) == digest_of({**OLD, "title": "b"})


def test_a_shape_says_what_a_tool_takes():
    """By name, with types, optional ones marked."""
    assert shape_of(NEW) == "id: string, why: string"
    assert shape_of({"properties": {"b": {"enum": [1, 2]}, "a": {"type": ["null", "string"]}}}) == (
        "a?: null or string, b?: any of 2 values"
    )
    assert shape_of({}) == "nothing"


CONTRACT = contract_of(
    {"tools": {"refund": {"input_schema": OLD, "output_schema": schema("state", state="string")}}}
)


@pytest.mark.parametrize(
    ("parameters", "result", "title"),
    [
        pytest.param(NEW, '{"state": "ok"}', "is offered in another way", id="offer"),
        pytest.param(OLD, '{"status": "ok"}', "`result.state` is missing", id="value missing"),
        pytest.param(OLD, '{"state": 7}', "integer instead of string", id="type"),
        pytest.param(OLD, "done", "the result is not JSON", id="no JSON"),
    ],
)
def test_what_is_not_as_the_contract_states_is_proved(parameters, result, title):
    """Definitions and results are held against the contract file."""
    settings = MinerSettings(contract=CONTRACT)
    scripts = [run(n, parameters, result=result) for n in range(1, 11)]

    report, ((words, affected),) = drifts(scripts, settings=settings)

    assert title.replace("`", "") in words.replace("'", "").replace("`", "")
    assert affected == 10
    assert report.findings[0].certainty == "proved"


def test_what_is_as_the_contract_states_is_quiet_and_counted():
    """Both lists and results are checked."""
    report, found = drifts([run(1, OLD)], settings=MinerSettings(contract=CONTRACT))

    (row,) = [row for row in report.coverage.rules if row.rule == RULE]
    assert found == []
    assert (row.checked, row.of) == (2, 2)


def test_order_and_parts_change_nothing():
    """Whichever trace comes first, alone or in parts, the same groups."""
    traces = [run(n, NEW if n % 7 == 3 else OLD).build() for n in range(1, 40)]
    found = []
    for seed in range(4):
        random.Random(seed).shuffle(traces)
        known = Partial()
        for part in range(seed + 1):
            known.absorb(mine(traces[part :: seed + 1], MinerSettings()))
        add_contract_drift(known, MinerSettings().contract, ())
        found.append((known.groups, known.tool_lists))

    assert all(each == found[0] for each in found)
