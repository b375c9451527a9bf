"""Which failures the sample agents hold, how often, and which rule should find them."""

from collections.abc import Mapping
from typing import NamedTuple

from halo_daemon.demo.agents import AGENTS, demo_plan
from halo_daemon.demo.faults import FaultPlan, Mode
from halo_daemon.demo.script import SampleAgent

RULES: Mapping[Mode, str] = {
    Mode.RECOVERED_ERROR: "infra_error",
    Mode.UNRECOVERED_ERROR: "tool_error",
    Mode.REPEATED_CALL: "repeated_call",
    Mode.TRUNCATED_OUTPUT: "truncated_output",
    Mode.MADE_UP_TOOL: "made_up_tool",
    Mode.BAD_ARGUMENTS: "bad_arguments",
    Mode.NO_ANSWER: "premature_end",
}
"""The rule that finds each fault; `infra_error` takes timeouts, where trying again helps."""

_WITHOUT_TOOL = frozenset({Mode.TRUNCATED_OUTPUT})


class Injected(NamedTuple):
    """
    One failure that was put into an agent's runs.

    Attributes:
        project: The agent's project.

        rule: The rule that should find it.

        tool: The tool that it is about; empty where it is about none.

        affected_traces: In how many runs it is, exactly.

        rate: The share of all the agent's runs.
    """

    project: str
    mode: Mode
    rule: str
    tool: str
    affected_traces: int
    rate: float


def injected(agent: SampleAgent, plan: FaultPlan | None = None) -> tuple[Injected, ...]:
    """List what `demo.agents.generate` puts into *agent* under *plan*, the demo's own when None."""
    plan = plan or demo_plan(agent)
    return tuple(
        Injected(
            project=agent.name,
            mode=mode,
            rule=RULES[mode],
            tool=_tool(agent, mode),
            affected_traces=plan.affected(mode, agent.traces),
            rate=plan.affected(mode, agent.traces) / agent.traces,
        )
        for mode in plan.rates
    )


def _tool(agent: SampleAgent, mode: Mode) -> str:
    if mode is Mode.MADE_UP_TOOL:
        return agent.made_up_tool
    return "" if mode in _WITHOUT_TOOL else agent.fault_tools.get(mode, "")


CATALOGUE: tuple[Injected, ...] = tuple(entry for agent in AGENTS for entry in injected(agent))
"""Everything that the demo must find."""
