"""Failures put into the sample agents are found, and nothing else is said loudly."""

import pytest

from bench.faults.__main__ import analyse, rule_of, score
from bench.faults.agents import FAULTS, clean_runs, window_of
from halo_daemon.demo.agents import AGENTS


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_failure_is_found_in_exactly_the_runs_that_have_it(fault):
    """Every hit run is named by a right finding, no other is, and none accuses a clean run."""
    window = window_of(fault, number=40, rate=0.25, seed=3)

    found = score(fault.name, analyse(window.spans), window.hit, fault.rules)

    assert (found.recall, found.precision, found.wrong) == (1.0, 1.0, ())
    assert found.is_inside


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.name)
def test_clean_runs_are_quiet(agent):
    """Two hundred runs full of near-misses give nothing above low."""
    report = analyse(clean_runs(agent, number=200, seed=5))

    assert [rule_of(f) for f in report.findings if f.severity not in {"low", "info"}] == []
