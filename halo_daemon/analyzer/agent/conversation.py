"""
What one agent has said and heard, and the shorter form in which it is sent.

Theory of operation
===================

Entries are only appended, and each keeps its original message. What is sent is
``shown``: the original, or a shorter text in its place. A tool answer is
shortened inside its own message, so a call and its results are never parted.

Rule 1: the first entries (system text, task) and the last turn are never shortened.

Rule 2: every original can be read back by its item id.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from halo_daemon.analyzer.agent.messages import Message, Role, ToolCall

_FRAME_BYTES = 40
"""JSON around one message, on average."""

_COMPACTED_ARGUMENTS = '{"compacted": true}'
_LONG_ARGUMENTS_BYTES = 400


@dataclass(slots=True)
class Entry:
    """One message with its item id and its turn; turn 0 is what was there at the start."""

    item_id: str
    turn: int
    original: Message
    shown: Message

    @property
    def is_compacted(self) -> bool:
        """Whether a shorter text is sent in place of the original."""
        return self.shown is not self.original

    def shorten(self, text: str) -> None:
        """Send *text* in place of the original."""
        self.shown = replace(self.shown, content=text)
        self.shorten_arguments()

    def shorten_arguments(self) -> bool:
        """Send short arguments in place of long ones; whether there were any."""
        calls = tuple(map(_short_call, self.shown.tool_calls))
        if calls == self.shown.tool_calls:
            return False
        self.shown = replace(self.shown, tool_calls=calls)
        return True


def _short_call(call: ToolCall) -> ToolCall:
    is_long = len(call.arguments.encode("utf-8", "replace")) > _LONG_ARGUMENTS_BYTES
    return replace(call, arguments=_COMPACTED_ARGUMENTS) if is_long else call


@dataclass(slots=True)
class Conversation:
    """The entries of one agent, in order."""

    entries: list[Entry] = field(default_factory=list)
    _by_id: dict[str, Entry] = field(default_factory=dict)

    def add(self, item_id: str, turn: int, message: Message) -> Entry:
        """Append one message; a repeated item id gets the turn behind it."""
        if item_id in self._by_id:
            item_id = f"{item_id}-{turn}-{len(self.entries)}"
        entry = Entry(item_id, turn, message, message)
        self.entries.append(entry)
        self._by_id[item_id] = entry
        for call in message.tool_calls:
            self._by_id[f"tool-call-{call.call_id}"] = entry
        return entry

    def find(self, item_id: str) -> Entry | None:
        """The entry of an item id, of a tool call's too; None when there is none."""
        return self._by_id.get(item_id)

    @property
    def item_ids(self) -> list[str]:
        """All item ids, in order of appearance."""
        return list(self._by_id)

    @property
    def last_turn(self) -> int:
        """The turn of the newest entry; 0 at the start."""
        return self.entries[-1].turn if self.entries else 0

    @property
    def messages(self) -> tuple[Message, ...]:
        """What is sent."""
        return tuple(entry.shown for entry in self.entries)

    @property
    def size_bytes(self) -> int:
        """Bytes of what is sent, tools left out."""
        return sum(entry.shown.size_bytes + _FRAME_BYTES for entry in self.entries)

    def has_call_id(self, call_id: str) -> bool:
        """Whether a call with this id was made before."""
        return f"tool-call-{call_id}" in self._by_id

    def older_than(self, kept_turns: int) -> Iterator[Entry]:
        """Entries of turns before the last *kept_turns* ones, oldest first."""
        newest = self.last_turn - kept_turns
        return (entry for entry in self.entries if 0 < entry.turn <= newest)

    def newest_answer(self) -> Entry | None:
        """The newest tool answer that is still sent in full; None when there is none."""
        answers = (
            entry
            for entry in reversed(self.entries)
            if entry.original.role is Role.TOOL and not entry.is_compacted
        )
        return next(answers, None)
