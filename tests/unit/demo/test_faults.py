from random import Random

import pytest

from halo_daemon.demo.agents import AGENTS
from halo_daemon.demo.faults import Mode, inject
from halo_daemon.demo.script import Script, ToolError, ToolStep

AGENT = AGENTS[0]


@pytest.fixture
def clean():
    """A run without a fault."""
    return AGENT.write_script(Random(3), 2)


def _inject(mode: Mode, clean: Script) -> Script:
    return inject(mode, clean, AGENT, Random(1))


def _failed(script: Script) -> list[ToolStep]:
    return [call for turn in script.turns for call in turn.calls if call.error]


def test_a_recovered_error_is_followed_by_the_same_call(clean):
    """The tool fails once, then answers, and the run ends as it would have."""
    script = _inject(Mode.RECOVERED_ERROR, clean)

    (failed,) = _failed(script)
    succeeded = [call for turn in clean.turns for call in turn.calls]
    assert any((call.tool, call.arguments) == (failed.tool, failed.arguments) for call in succeeded)
    assert script.answer == clean.answer


def test_an_unrecovered_error_is_talked_away(clean):
    """After the failure the agent claims to be done."""
    script = _inject(Mode.UNRECOVERED_ERROR, clean)

    assert script.turns[-2].calls[0].error is not None
    assert script.answer == AGENT.claim


def test_error_messages_vary_in_their_ids(clean):
    """One failure has one wording and ever new ids."""
    errors = [
        _failed(inject(Mode.RECOVERED_ERROR, clean, AGENT, Random(seed)))[0].error
        for seed in range(5)
    ]

    assert len({error.message for error in errors if isinstance(error, ToolError)}) == 5


def test_a_repeated_call_has_the_same_arguments_and_result(clean):
    """Nothing changes between the repetitions."""
    script = _inject(Mode.REPEATED_CALL, clean)

    calls = [call for turn in script.turns for call in turn.calls if call.tool == "search_orders"]
    assert sum(call == calls[0] for call in calls) == 4


def test_a_truncated_answer_says_so(clean):
    """The answer is the beginning of the whole one, and the finish reason tells why."""
    script = _inject(Mode.TRUNCATED_OUTPUT, clean)

    assert clean.answer.startswith(script.answer)
    assert len(script.answer) < len(clean.answer)
    assert script.turns[-1].finish_reason == "length"


def test_a_made_up_tool_is_not_on_offer(clean):
    """The invented name is none of the agent's tools, and the call fails."""
    (failed,) = _failed(_inject(Mode.MADE_UP_TOOL, clean))

    assert failed.tool not in {tool.name for tool in AGENT.tools}


def test_bad_arguments_break_the_offered_schema(clean):
    """One argument has a name that the tool does not know."""
    (failed,) = _failed(_inject(Mode.BAD_ARGUMENTS, clean))

    properties = AGENT.tool(failed.tool).parameters["properties"]
    assert isinstance(properties, dict)
    assert not set(failed.arguments) <= set(properties)


def test_a_run_without_an_answer_ends_in_a_call_that_never_ran(clean):
    """The last turn asks for a tool, and nothing comes after."""
    script = _inject(Mode.NO_ANSWER, clean)

    assert script.answer == ""
    assert script.turns[-1].calls
    assert not script.turns[-1].calls_ran
