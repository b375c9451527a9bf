"""
One budget for a root and all its sub-agents.

Theory of operation
===================

Before a request its cost is estimated and reserved; afterwards the reservation
is replaced by what the provider reported. Reservations of parallel children
count like money spent, so the same dollar is never promised twice. A request
that does not fit is not sent.

Rule 1: spent and reserved together never pass a limit; what a provider reports
beyond the estimate of one request is the only way to exceed it.

Rule 2: room for the root's closing request is kept free at all times.

One event loop owns a ledger. There is no lock because nothing awaits between
the check and the reservation.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field

from halo_daemon.analyzer.agent.errors import EngineBudgetExceededError
from halo_daemon.analyzer.agent.messages import Usage
from halo_daemon.analyzer.agent.usage import Price

CLOSING_OUTPUT_TOKENS = 4_000
"""Output that the closing request of an agent is given room for."""

CLOSING_SECONDS = 5.0
"""Time kept back from each request, to write the report; less in a short budget."""

# Of a budget in seconds: a run of a minute keeps three back, not five.
_CLOSING_SHARE = 0.05
_TURN_SHARE = 0.1

# English in common tokenisers, JSON included; the first reported usage corrects it.
_BYTES_PER_TOKEN = 3.6
# What a provider reports is believed within these, or one absurd number would end a run.
_MIN_BYTES_PER_TOKEN = 0.5
_MAX_BYTES_PER_TOKEN = 8.0


class Budget(BaseModel):
    """What one run may use, its sub-agents included; None sets no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    usd: float | None = Field(default=None, ge=0)
    """Dollars. A model without a price counts as free, and the tokens bind."""

    tokens: int | None = Field(default=None, ge=0)
    """Input and output tokens."""

    seconds: float | None = Field(default=None, ge=0)
    """Wall clock, waiting included."""

    requests: int | None = Field(default=None, ge=0)
    """Requests sent, retries included."""

    turns: int | None = Field(default=None, ge=0)
    """Answered requests of all agents together."""

    subagents: int = Field(default=16, ge=0)
    """Sub-agents started in the whole run."""

    @property
    def limits_output(self) -> bool:
        """Whether a longer answer takes more of it."""
        return self.tokens is not None or self.usd is not None


@dataclass(slots=True)
class Spent:
    """What a run has used so far."""

    usd: float = 0.0
    tokens: int = 0
    requests: int = 0
    turns: int = 0
    bytes_sent: int = 0
    subagent_ids: set[str] = field(default_factory=set)
    """Sub-agents that were started, by id; one that a resumed run meets again counts once."""

    earlier_seconds: float = 0.0
    """Wall clock of the runs that this one resumes."""

    usage: Usage = field(default_factory=Usage)
    estimated_tokens: int = 0
    """Tokens booked from an estimate because the provider reported none."""

    @property
    def subagents(self) -> int:
        """How many sub-agents were started."""
        return len(self.subagent_ids)


@dataclass(frozen=True, slots=True)
class Need:
    """An estimate of one request."""

    input_tokens: int
    output_tokens: int
    price: Price | None = None
    """None when the price of the model is unknown."""

    @property
    def tokens(self) -> int:
        """Both sides."""
        return self.input_tokens + self.output_tokens

    @property
    def usd(self) -> float:
        """What it would cost; 0 when the price is unknown."""
        return cost_usd(Usage(self.input_tokens, self.output_tokens), self.price)


def cost_usd(usage: Usage, price: Price | None) -> float:
    """What *usage* costs; 0 when the price is unknown."""
    return price.cost_usd(usage) if price else 0.0


@dataclass(slots=True)
class SizeEstimator:
    """Tokens of a request from its bytes, corrected by what the provider reported last."""

    bytes_per_token: float = _BYTES_PER_TOKEN

    def tokens(self, size_bytes: int) -> int:
        """Estimated tokens of *size_bytes* of request."""
        return int(size_bytes / self.bytes_per_token) + 1

    def learn(self, size_bytes: int, input_tokens: int) -> None:
        """Take over the ratio of a request whose tokens were reported."""
        if input_tokens > 0:
            ratio = size_bytes / input_tokens
            self.bytes_per_token = min(max(ratio, _MIN_BYTES_PER_TOKEN), _MAX_BYTES_PER_TOKEN)


@dataclass(slots=True, eq=False)
class Reservation:
    """Room for one request that is on its way; told apart by identity."""

    need: Need


@dataclass(slots=True)
class Ledger:
    """What is spent, what is promised, and what is left."""

    budget: Budget
    monotonic_s: Callable[[], float]
    spent: Spent = field(default_factory=Spent)
    closing_need: Need = field(default_factory=lambda: Need(0, CLOSING_OUTPUT_TOKENS))
    """The root's closing request at its present size."""

    _reserved: list[Reservation] = field(default_factory=list)
    _started_s: float = field(init=False)
    _longest_turn_s: float = 0.0

    def __post_init__(self) -> None:
        """Start the clock."""
        self._started_s = self.monotonic_s()

    @property
    def elapsed_s(self) -> float:
        """Wall clock so far, of resumed runs too."""
        return self.spent.earlier_seconds + self.monotonic_s() - self._started_s

    @property
    def remaining_s(self) -> float:
        """Seconds until the deadline; infinite without one."""
        limit_s = self.budget.seconds
        return float("inf") if limit_s is None else limit_s - self.elapsed_s

    @property
    def closing_s(self) -> float:
        """Seconds kept back for what comes after a request."""
        return min(CLOSING_SECONDS, _CLOSING_SHARE * (self.budget.seconds or float("inf")))

    def request_timeout_s(self, limit_s: float) -> float:
        """How long a request may take: *limit_s*, or what the deadline leaves; at least 0."""
        return max(0.0, min(limit_s, self.remaining_s - self.closing_s))

    def obstacle(self, need: Need, *, keep_closing: bool) -> str:
        """
        Which limit forbids a request: the word of the report, ``""`` when it fits.

        Args:
            need: The estimate of the request.

            keep_closing: Whether room for the root's closing request must be left.
        """
        closing = self.closing_need if keep_closing else Need(0, 0)
        promised_tokens = sum(reserved.need.tokens for reserved in self._reserved)
        promised_usd = sum(reserved.need.usd for reserved in self._reserved)
        wanted_tokens = need.tokens + closing.tokens
        wanted_usd = need.usd + closing.usd
        more = 1 + keep_closing
        limits: tuple[tuple[str, float | None, float], ...] = (
            ("usd", self.budget.usd, self.spent.usd + promised_usd + wanted_usd),
            ("tokens", self.budget.tokens, self.spent.tokens + promised_tokens + wanted_tokens),
            ("requests", self.budget.requests, self.spent.requests + more),
            ("turns", self.budget.turns, self.spent.turns + len(self._reserved) + more),
            ("seconds", self.budget.seconds, self._end_of_turn_s(keep_closing=keep_closing)),
        )
        over = (word for word, limit, total in limits if limit is not None and total > limit)
        return next(over, "")

    def note_turn(self, duration_s: float) -> None:
        """Remember how long a turn took, so that the last one is foreseen."""
        self._longest_turn_s = max(self._longest_turn_s, duration_s)

    def _end_of_turn_s(self, *, keep_closing: bool) -> float:
        """When one more turn would end; long ones (of sub-agents) count a tenth of the limit."""
        if not keep_closing:
            return self.elapsed_s + self.closing_s
        longest_s = min(self._longest_turn_s, _TURN_SHARE * (self.budget.seconds or 0.0))
        return self.elapsed_s + longest_s + 2 * self.closing_s

    def reserve(self, need: Need, *, keep_closing: bool) -> Reservation:
        """
        Promise room for one request.

        Raises:
            EngineBudgetExceededError: It does not fit.
        """
        reason = self.obstacle(need, keep_closing=keep_closing)
        if reason:
            raise EngineBudgetExceededError(
                f"cannot send a request of about {need.tokens} tokens: "
                f"the limit of {reason} is reached (`analysis.budget.{reason}`)",
                reason=reason,
            )
        reservation = Reservation(need)
        self._reserved.append(reservation)
        return reservation

    def count_request(self, size_bytes: int) -> None:
        """Book that a request of that size goes out, a retry or the first."""
        self.spent.requests += 1
        self.spent.bytes_sent += size_bytes

    def release(self, reservation: Reservation) -> None:
        """Give back the room of a request that was not answered."""
        self._reserved.remove(reservation)

    def book(self, reservation: Reservation, usage: Usage | None) -> Usage:
        """
        Replace a reservation by what the answer used.

        Returns:
            What was booked: *usage*, or the estimate where it is None.
        """
        self.release(reservation)
        need = reservation.need
        booked = usage or Usage(need.input_tokens, need.output_tokens, estimated=True)
        self.add(booked, cost_usd(booked, need.price))
        return booked

    def add(self, booked: Usage, usd: float) -> None:
        """Book one answer, without a reservation; a resumed run takes over the old ones so."""
        spent = self.spent
        spent.turns += 1
        spent.tokens += booked.total_tokens
        spent.usd += usd
        spent.estimated_tokens += booked.total_tokens if booked.estimated else 0
        total = spent.usage
        spent.usage = Usage(
            total.input_tokens + booked.input_tokens,
            total.output_tokens + booked.output_tokens,
            total.cached_input_tokens + booked.cached_input_tokens,
            total.reasoning_tokens + booked.reasoning_tokens,
        )

    def take_subagent(self, agent_id: str) -> bool:
        """Count a sub-agent, each id once; False when no more may be started."""
        known = self.spent.subagent_ids
        if agent_id not in known and len(known) >= self.budget.subagents:
            return False
        known.add(agent_id)
        return True
