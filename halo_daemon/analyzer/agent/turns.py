"""What is decided before a turn: whether it is the last one, and how much room to make."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self, cast

from halo_daemon.analyzer.agent.budget import CLOSING_OUTPUT_TOKENS, Ledger, Need
from halo_daemon.analyzer.agent.messages import Message, Role, as_list, as_text
from halo_daemon.proto.json_value import JsonObject

DEFAULT_WINDOW_TOKENS = 128_000

_WINDOWS: Mapping[str, int] = {
    "gpt-5": 400_000,
    "gpt-4.1": 1_000_000,
    "gpt-4o": 128_000,
    "o1": 200_000,
    "o3": 200_000,
    "o4": 200_000,
    "claude": 200_000,
    "gemini": 1_000_000,
    "grok": 128_000,
    "deepseek": 64_000,
    "kimi": 128_000,
    "qwen": 32_000,
    "llama-3": 128_000,
    "mistral": 32_000,
}
_LAST_TURNS = 3
_HALF = 0.5


@dataclass(slots=True)
class ContextWindow:
    """How much a model takes in; learnt where the guess was wrong."""

    tokens: int

    @classmethod
    def of(cls, model: str, configured_tokens: int | None = None) -> Self:
        """The configured window, else the one known for *model*'s family, else 128,000."""
        bare = model.rsplit("/", 1)[-1].lower()
        families = sorted(_WINDOWS, key=len, reverse=True)
        family = next((name for name in families if bare.startswith(name)), "")
        return cls(configured_tokens or _WINDOWS.get(family, DEFAULT_WINDOW_TOKENS))

    def learn(self, named_tokens: int, refused_tokens: int) -> None:
        """Take over the window that an error names, or go below the size it refused."""
        # A tenth less each time finds an unnamed window in a few requests, from any guess.
        self.tokens = min(self.tokens, named_tokens or int(refused_tokens * 0.9))


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """The decisions of one turn; journalled, because they depend on money and time."""

    number: int
    is_closing: bool = False
    compact_to_bytes: tuple[int, ...] = ()
    """Targets of compactions before the request, in order."""

    withhold: str = ""
    """Item id of a tool answer kept from the provider's filter."""

    def to_json(self) -> JsonObject:
        """The decisions by name."""
        return {
            "is_closing": self.is_closing,
            "compact_to_bytes": [*self.compact_to_bytes],
            "withhold": self.withhold,
        }

    @classmethod
    def from_json(cls, number: int, value: JsonObject) -> Self:
        """Read what `to_json` wrote."""
        targets = cast("list[int]", as_list(value.get("compact_to_bytes")))
        return cls(
            number, value.get("is_closing") is True, tuple(targets), as_text(value.get("withhold"))
        )

    def compacting(self, target_bytes: int) -> Self:
        """The plan with one more compaction."""
        return replace(self, compact_to_bytes=(*self.compact_to_bytes, target_bytes))


def what_fits(ledger: Ledger, need: Need, *, is_root: bool) -> tuple[bool, str]:
    """
    What the budget allows an agent next.

    Returns:
        Whether only the closing request is left, and the limit that forbids even
        that one, ``""`` when none does.
    """
    closing = Need(need.input_tokens, CLOSING_OUTPUT_TOKENS, need.price)
    if is_root:
        ledger.closing_need = closing
        wanted = need
    else:
        output_tokens = need.output_tokens + closing.output_tokens
        # A sub-agent needs one turn more after this one, to answer its parent.
        wanted = Need(need.input_tokens * 2, output_tokens, need.price)
    if not ledger.obstacle(wanted, keep_closing=True):
        return False, ""
    return True, ledger.obstacle(need, keep_closing=not is_root)


def note_for(plan: TurnPlan, maximum_turns: int, ledger: Ledger) -> Message:
    """The last message of a request: which turn it is, and what is left once half is gone."""
    left = maximum_turns - plan.number
    lines = [f"Turn {plan.number} of {maximum_turns}."]
    share = _share_spent(ledger)
    if share >= _HALF:
        lines.append(f"{share:.0%} of the run's budget is used.")
    if plan.is_closing:
        lines.append("This is the last turn: call `final_answer` now, with what you have.")
    elif left < _LAST_TURNS:
        lines.append(f"{left} more after this one: record what is proven, then finish.")
    return Message(Role.USER, " ".join(lines))


def _share_spent(ledger: Ledger) -> float:
    spent, budget = ledger.spent, ledger.budget
    shares = [
        used / limit
        for used, limit in (
            (spent.usd, budget.usd),
            (spent.tokens, budget.tokens),
            (spent.requests, budget.requests),
            (ledger.elapsed_s, budget.seconds),
        )
        if limit
    ]
    return max(shares, default=0.0)
