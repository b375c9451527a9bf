import json

import pytest

from halo_daemon.analyzer.agent.agent_tools import AgentTools, ContextItemArguments
from halo_daemon.analyzer.agent.compaction import CompactionSettings, compact
from halo_daemon.analyzer.agent.conversation import Conversation
from halo_daemon.analyzer.agent.messages import Message, Role, ToolCall
from halo_daemon.analyzer.agent.spec import AgentSpec
from halo_daemon.analyzer.agent.toolbox import Tool, Toolbox

SETTINGS = CompactionSettings(keep_turns=2, keep_texts=2)


def conversation(turns: int = 8, answer_chars: int = 5_000, text_chars: int = 0) -> Conversation:
    """A task and some turns, each with a call and a long answer."""
    made = Conversation()
    made.add("sys-0", 0, Message(Role.SYSTEM, "system"))
    made.add("in-0", 0, Message(Role.USER, "task"))
    for turn in range(1, turns + 1):
        call = ToolCall(f"c{turn}", "look", json.dumps({"n": turn}))
        made.add(f"msg-{turn}", turn, Message(Role.ASSISTANT, "t" * text_chars, (call,)))
        answer = Message(Role.TOOL, f"{turn}" * answer_chars, (), call.call_id, "look")
        made.add(f"tool-result-{call.call_id}", turn, answer)
    return made


async def shorten(made: Conversation, target_bytes: int, summarise=None):
    """Compact with the settings of this module."""
    return await compact(made, target_bytes=target_bytes, settings=SETTINGS, summarise=summarise)


async def test_only_as_much_as_needed_is_shortened_oldest_first():
    """Room is made from the oldest answers on, and no further than the target."""
    made = conversation()
    done = await shorten(made, 25_000)

    shortened = [entry.item_id for entry in made.entries if entry.is_compacted]
    assert shortened == [f"tool-result-c{turn}" for turn in range(1, 5)]
    assert done.bytes_after <= 25_000 < done.bytes_before


@pytest.mark.parametrize("target_bytes", [0, 1_000, 12_000])
async def test_system_task_and_last_turn_stay(target_bytes):
    """However little room there is, these are never touched; pairs stay together (R9, C-03)."""
    made = conversation(text_chars=300)
    await shorten(made, target_bytes)

    kept = [entry for entry in made.entries if entry.turn in {0, 8}]
    assert not any(entry.is_compacted for entry in kept)
    assert [m.role for m in made.messages] == [e.original.role for e in made.entries]
    assert [m.tool_call_id for m in made.messages] == [
        e.original.tool_call_id for e in made.entries
    ]


@pytest.mark.parametrize("summary", ["", "s" * 100_000])
async def test_a_summary_that_fails_leaves_the_line(summary):
    """Nothing, or something longer than before, is not taken (C-04)."""

    async def summarise(_: str) -> str:
        return summary

    made = conversation(answer_chars=1_100)
    await shorten(made, 100, summarise)

    first = json.loads(made.find("tool-result-c1").shown.content)
    assert first["read_again"] == "get_context_item"


async def test_a_summary_stands_in_for_the_answers_of_a_turn():
    """A good summary replaces the line, inside the same tool message."""

    async def summarise(text: str) -> str:
        return f"saw {text[6:7]}"

    made = conversation(answer_chars=2_000)
    await shorten(made, 100, summarise)

    assert json.loads(made.find("tool-result-c1").shown.content)["summary"] == "saw 1"


async def test_older_texts_are_cut_last():
    """Long texts beyond the newest ones lose their end, and say where it is."""
    made = conversation(answer_chars=10, text_chars=2_000)
    await shorten(made, 5_000)

    assert "the whole text is item msg-1" in made.find("msg-1").shown.content
    assert not made.find("msg-7").is_compacted


async def test_originals_can_be_read_again_in_parts():
    """Three parts of a shortened item are the original (C-05)."""
    made = conversation(turns=6, answer_chars=50)
    made.add("tool-result-x", 2, Message(Role.TOOL, "äöü" * 1_000, (), "x", "look"))
    made.find("tool-result-x").shorten("gone")
    spec = AgentSpec("root-1", "root", 5, "")
    own = AgentTools(spec, made, None, [], None, None)
    box = Toolbox(
        [
            Tool(
                "get_context_item",
                ContextItemArguments,
                own.get_context_item,
                is_wrapped=False,
                is_pure=False,
            )
        ]
    )
    answer, text = {}, ""
    arguments = {"item_id": "tool-result-x", "limit": 1_100}
    for _ in range(3):
        answer = json.loads(
            await box.answer(ToolCall("c", "get_context_item", json.dumps(arguments)))
        )
        text += answer["item"]["content"]
        arguments = answer.get("next", {}).get("arguments", {}) | {"limit": 1_100}

    assert text == "äöü" * 1_000
    assert answer["item"]["is_compacted"] is True
