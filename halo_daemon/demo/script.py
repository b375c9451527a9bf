"""What one run of a sample agent did, free of any convention for writing it down."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random

from halo_daemon.proto.json_value import JsonObject


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """
    A tool that an agent offers to its model.

    Attributes:
        parameters: JSON Schema of the arguments.

        parts: Spans inside a call, as pairs of a name and an OpenInference kind.

        failure: Makes an error message for given arguments; it varies in ids as real ones do.
    """

    name: str
    description: str
    parameters: JsonObject
    parts: tuple[tuple[str, str], ...] = ()
    failure: Callable[[Random, JsonObject], str] | None = None


@dataclass(frozen=True, slots=True)
class ToolError:
    """How a call failed."""

    type_name: str
    message: str


@dataclass(frozen=True, slots=True)
class ToolStep:
    """One call of a tool; ``result`` is empty where it failed."""

    tool: str
    arguments: JsonObject
    result: str = ""
    error: ToolError | None = None
    duration_ms: int = 120


@dataclass(frozen=True, slots=True)
class Turn:
    """
    One model call and the tools that it asked for.

    Attributes:
        finish_reason: In OpenAI's words: ``stop``, ``tool_calls`` or ``length``.

        calls_ran: False where the run ended before the tools did.

        user: What the user said before; empty where the agent went on by itself.

        served_model: The model that answered, where that is not the one asked for.
    """

    text: str = ""
    calls: tuple[ToolStep, ...] = ()
    finish_reason: str = "stop"
    calls_ran: bool = True
    user: str = ""
    served_model: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """
    One run.

    Attributes:
        turns: In order; the last one holds the answer.

        max_output_tokens: The limit that the agent set for a model call.

        failure: What the agent failed with; empty where it ended by itself.
    """

    question: str
    turns: tuple[Turn, ...]
    model: str
    session_id: str
    user_id: str
    version: str
    max_output_tokens: int = 1024
    failure: str = ""

    @property
    def answer(self) -> str:
        """What the run ended with; empty when it ended without an answer."""
        last = self.turns[-1]
        return "" if last.calls else last.text

    @property
    def tools_used(self) -> frozenset[str]:
        """Names of the tools that were asked for."""
        return frozenset(call.tool for turn in self.turns for call in turn.calls)

    def with_turns(self, *turns: Turn) -> "Script":
        """The same run with other turns."""
        return replace(self, turns=turns)


@dataclass(frozen=True, slots=True)
class SampleAgent:
    """
    An agent: what it offers, how it runs, and what goes wrong in it.

    Attributes:
        name: Its ``service.name``, so the project it falls into.

        traces: How many runs the demo makes.

        write_script: Makes one run from random numbers and the run's number.

        fault_rates: The faults of the demo and the share of runs that each hits.

        fault_tools: The tool that a fault hits, where it must be a certain one.

        claim: What the agent says after a failure that it did not notice.
    """

    name: str
    system_prompt: str
    provider: str
    traces: int
    tools: tuple[ToolSpec, ...]
    write_script: Callable[[Random, int], Script]
    fault_rates: Mapping[str, float]
    fault_tools: Mapping[str, str]
    claim: str
    made_up_tool: str
    _by_name: dict[str, ToolSpec] = field(default_factory=dict, repr=False)

    def tool(self, name: str) -> ToolSpec:
        """
        The tool of that name.

        Raises:
            KeyError: the agent has none.
        """
        if not self._by_name:
            self._by_name.update({tool.name: tool for tool in self.tools})
        return self._by_name[name]


def schema(required: Mapping[str, str], optional: Mapping[str, str] | None = None) -> JsonObject:
    """A JSON Schema that takes these properties, given with their types, and no others."""
    properties: JsonObject = {
        name: {"type": kind} for name, kind in {**required, **(optional or {})}.items()
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def ask(*calls: ToolStep, text: str = "") -> Turn:
    """A turn that asks for tools."""
    return Turn(text=text, calls=calls, finish_reason="tool_calls")


def hex_id(rng: Random, digits: int = 12) -> str:
    """A random id of lower-case hex digits."""
    return f"{rng.getrandbits(4 * digits):0{digits}x}"
