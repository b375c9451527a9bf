"""
Making room before a request, while the run goes on.

Three stages, each only as far as needed: long tool answers become one line that
names the item; older turns are summarised as units; older texts are cut. A
stage never touches the system text, the task or the newest turn. Room is made
down to well below the threshold, so that the provider's cached prefix changes
seldom and in large steps.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from halo_daemon.analyzer.agent.conversation import Conversation, Entry
from halo_daemon.analyzer.agent.messages import Role

_LONG_ANSWER_BYTES = 1_000
_MAX_SUMMARY_CHARS = 1_200
_MAX_OLD_TEXT_CHARS = 200

DEFAULT_TARGET = 0.6
"""Share of the window down to which room is made."""

Summarise = Callable[[str], Awaitable[str]]
"""Summarises the text of older turns; ``""`` when it cannot."""


@dataclass(frozen=True, slots=True)
class CompactionSettings:
    """When and how far a conversation is shortened."""

    compact_at: float = 0.85
    """Share of the window at which room is made."""

    target: float = DEFAULT_TARGET
    """Share of the window down to which room is made."""

    keep_turns: int = 3
    """Newest turns whose tool answers stay as they are."""

    keep_texts: int = 12
    """Newest texts that stay as they are."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction did."""

    items: int
    bytes_before: int
    bytes_after: int


async def compact(
    conversation: Conversation,
    *,
    target_bytes: int,
    settings: CompactionSettings,
    summarise: Summarise | None,
) -> Compacted:
    """
    Shorten *conversation* until it is at most *target_bytes*, or nothing is left to shorten.

    A summary that fails, is empty or is longer than what it stands for leaves the
    line of the first stage in place.
    """
    before = conversation.size_bytes
    shortened = 0
    # Recent answers are what the model reasons about; they go only when the rest is not enough.
    for kept_turns in dict.fromkeys((settings.keep_turns, 1)):
        for entry in [*conversation.older_than(kept_turns)]:
            if conversation.size_bytes <= target_bytes:
                break
            shortened += _to_line(entry)
        if summarise is not None and conversation.size_bytes > target_bytes:
            shortened += await _summarise_turns(conversation, kept_turns, summarise)
    shortened += _cut_texts(conversation, target_bytes, settings.keep_texts)
    return Compacted(shortened, before, conversation.size_bytes)


def answer_line(entry: Entry) -> str:
    """The line that stands for a tool answer: what it was, how large, how to read it again."""
    size_bytes = entry.original.size_bytes
    return (
        f'{{"compacted": true, "tool": "{entry.original.name}", "bytes": {size_bytes}, '
        f'"read_again": "get_context_item", "item_id": "{entry.item_id}"}}'
    )


def withhold(entry: Entry) -> None:
    """Send a note in place of a tool answer that a content filter objected to."""
    entry.shorten(
        '{"withheld": true, "reason": "the provider\'s content filter refused a request with '
        'this answer; go on without it"}'
    )


def _to_line(entry: Entry) -> int:
    if entry.original.role is not Role.TOOL:
        return int(entry.shorten_arguments())
    if entry.is_compacted or entry.shown.size_bytes <= _LONG_ANSWER_BYTES:
        return 0
    entry.shorten(answer_line(entry))
    return 1


async def _summarise_turns(
    conversation: Conversation, kept_turns: int, summarise: Summarise
) -> int:
    older = [*conversation.older_than(kept_turns)]
    by_turn: dict[int, list[Entry]] = {}
    for entry in older:
        if entry.original.role is Role.TOOL and not entry.shown.content.startswith('{"summary"'):
            by_turn.setdefault(entry.turn, []).append(entry)
    shortened = 0
    for answers in by_turn.values():
        whole = "\n".join(f"{e.original.name}: {e.original.content}" for e in answers)
        summary = (await summarise(whole)).strip()[:_MAX_SUMMARY_CHARS]
        if not summary or len(summary) >= sum(len(e.shown.content) for e in answers):
            continue
        first, *others = answers
        first.shorten(_summary_json(first, summary))
        for entry in others:
            entry.shorten(_summary_json(entry, "told with the call before"))
        shortened += len(answers)
    return shortened


def _summary_json(entry: Entry, summary: str) -> str:
    return json.dumps({"summary": summary, "item_id": entry.item_id}, ensure_ascii=False)


def _cut_texts(conversation: Conversation, target_bytes: int, keep_texts: int) -> int:
    texts = [
        entry
        for entry in conversation.older_than(1)
        if entry.original.role is not Role.TOOL and len(entry.shown.content) > _MAX_OLD_TEXT_CHARS
    ]
    shortened = 0
    for entry in texts[: max(0, len(texts) - keep_texts)]:
        if conversation.size_bytes <= target_bytes:
            break
        cut = entry.shown.content[:_MAX_OLD_TEXT_CHARS]
        entry.shorten(f"{cut} … (cut; the whole text is item {entry.item_id})")
        shortened += 1
    return shortened
