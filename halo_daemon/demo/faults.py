"""
Faults that can be put into any run of any sample agent, each at a known rate.

A fault rewrites a clean script the way a real failure would have changed it, so
the spans around it stay consistent. Which runs are hit is drawn from a seed; how
many are hit is exact.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random

from halo_daemon.demo.script import SampleAgent, Script, ToolError, ToolStep, Turn, ask, hex_id
from halo_daemon.proto.json_value import JsonObject

_REPEATS = 4


class Mode(StrEnum):
    """What goes wrong."""

    RECOVERED_ERROR = "recovered_error"
    """A tool fails, and the same call succeeds when it is made again."""

    UNRECOVERED_ERROR = "unrecovered_error"
    """A tool fails, and the agent answers as if it had not."""

    REPEATED_CALL = "repeated_call"
    """The same call is made again and again with the same result."""

    TRUNCATED_OUTPUT = "truncated_output"
    """The answer is cut at the token limit."""

    MADE_UP_TOOL = "made_up_tool"
    """The model calls a tool that it was not offered."""

    BAD_ARGUMENTS = "bad_arguments"
    """The model calls a tool with an argument that it does not take."""

    NO_ANSWER = "no_answer"
    """The run ends after the model asked for a tool."""


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """
    Which share of an agent's runs each fault hits; a run has one fault at most.

    Raises:
        ValueError: a rate is not within 0 to 1, or together they are above 1.
    """

    rates: Mapping[Mode, float]

    def __post_init__(self) -> None:
        if any(not 0 <= rate <= 1 for rate in self.rates.values()):
            raise ValueError("a fault's rate is a share between 0 and 1")
        if sum(self.rates.values()) > 1 + 1e-9:
            raise ValueError("the faults' rates are together above 1")

    def affected(self, mode: Mode, traces: int) -> int:
        """How many of *traces* runs the fault hits."""
        return round(self.rates.get(mode, 0.0) * traces)

    def assign(self, scripts: Sequence[Script], agent: SampleAgent, rng: Random) -> dict[int, Mode]:
        """
        Draw which runs are hit, by their place; the counts are exact.

        A fault that belongs to a certain tool hits runs that use it, as far as there are any.
        """
        free = list(range(len(scripts)))
        rng.shuffle(free)
        hit: dict[int, Mode] = {}
        for mode in self.rates:
            wanted = agent.fault_tools.get(mode, "")
            free.sort(key=lambda place: wanted not in scripts[place].tools_used)
            count = self.affected(mode, len(scripts))
            hit |= dict.fromkeys(free[:count], mode)
            free = free[count:]
        return hit


@dataclass(frozen=True, slots=True)
class _Site:
    """Where a fault strikes: a call of one turn of a clean run."""

    script: Script
    agent: SampleAgent
    rng: Random
    turn: int
    call: ToolStep

    def spliced(self, *turns: Turn, skip: int = 0) -> Script:
        """The run with *turns* put before the struck turn, and *skip* turns left out there."""
        before, after = self.script.turns[: self.turn], self.script.turns[self.turn + skip :]
        return self.script.with_turns(*before, *turns, *after)

    def ended(self, *turns: Turn) -> Script:
        """The run that ends with *turns* in place of the struck turn."""
        return self.script.with_turns(*self.script.turns[: self.turn], *turns)

    def failed(self) -> Turn:
        """The struck call, failing as this tool does."""
        make_message = self.agent.tool(self.call.tool).failure
        message = (
            make_message(self.rng, self.call.arguments)
            if make_message
            else f"UpstreamError: request {hex_id(self.rng)} failed with status 502"
        )
        type_name, _, text = message.partition(": ")
        error = ToolError(type_name, text)
        return ask(replace(self.call, result="", error=error, duration_ms=900))


def inject(mode: Mode, script: Script, agent: SampleAgent, rng: Random) -> Script:
    """
    Rewrite a clean run so that it shows the fault.

    The agent's chosen tool is struck where the run uses it, else any tool; a run breaks
    off at the last such call, so that its work is done but never told.
    """
    calls = [(number, call) for number, turn in enumerate(script.turns) for call in turn.calls]
    wanted = agent.fault_tools.get(mode, "")
    candidates = [pair for pair in calls if pair[1].tool == wanted] or calls
    turn, call = candidates[-1] if mode is Mode.NO_ANSWER else rng.choice(candidates)
    return _INJECTORS[mode](_Site(script, agent, rng, turn, call))


def _recovered(site: _Site) -> Script:
    return site.spliced(site.failed())


def _unrecovered(site: _Site) -> Script:
    return site.ended(site.failed(), Turn(text=site.agent.claim))


def _repeated(site: _Site) -> Script:
    return site.spliced(*[ask(site.call)] * _REPEATS, skip=1)


def _truncated(site: _Site) -> Script:
    words = site.script.answer.split()
    cut = Turn(text=" ".join(words[: len(words) * 2 // 3]), finish_reason="length")
    return site.script.with_turns(*site.script.turns[:-1], cut)


def _made_up(site: _Site) -> Script:
    name = site.agent.made_up_tool
    offered = ", ".join(tool.name for tool in site.agent.tools)
    error = ToolError("ToolNotFoundError", f"unknown tool '{name}'. Available tools: {offered}")
    return site.spliced(ask(replace(site.call, tool=name, result="", error=error, duration_ms=2)))


def _bad_arguments(site: _Site) -> Script:
    first, *others = site.call.arguments
    wrong = f"{first}_name"
    arguments: JsonObject = {wrong: site.call.arguments[first]}
    arguments |= {name: site.call.arguments[name] for name in others}
    message = f"{site.call.tool}() got an unexpected keyword argument '{wrong}'"
    error = ToolError("TypeError", message)
    refused = replace(site.call, arguments=arguments, result="", error=error, duration_ms=2)
    return site.spliced(ask(refused))


def _no_answer(site: _Site) -> Script:
    return site.ended(replace(ask(site.call), calls_ran=False))


_INJECTORS: Mapping[Mode, Callable[[_Site], Script]] = {
    Mode.RECOVERED_ERROR: _recovered,
    Mode.UNRECOVERED_ERROR: _unrecovered,
    Mode.REPEATED_CALL: _repeated,
    Mode.TRUNCATED_OUTPUT: _truncated,
    Mode.MADE_UP_TOOL: _made_up,
    Mode.BAD_ARGUMENTS: _bad_arguments,
    Mode.NO_ANSWER: _no_answer,
}
