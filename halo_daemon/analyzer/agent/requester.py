"""
Sending the requests of one run: budget first, journal second, then the model.

One policy decides about failures: what can pass is tried again after a wait
with full jitter, or the wait that the provider asks for. Failures are counted
while they are consecutive: one good answer sets the count to zero.
"""

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field, replace

from halo_daemon.analyzer.agent.budget import (
    CLOSING_OUTPUT_TOKENS,
    Ledger,
    Need,
    SizeEstimator,
    cost_usd,
)
from halo_daemon.analyzer.agent.clock import Clock
from halo_daemon.analyzer.agent.errors import (
    Action,
    EngineBudgetExceededError,
    JournalMismatchError,
    ModelError,
)
from halo_daemon.analyzer.agent.journal import Journal
from halo_daemon.analyzer.agent.messages import Message, Usage
from halo_daemon.analyzer.agent.model import ChatModel, ModelReply, ModelRequest, TextSink
from halo_daemon.analyzer.agent.usage import Price
from halo_daemon.proto.json_value import JsonObject

MAX_FAILURES_OF_AGENT = 6
MAX_FAILURES_OF_TREE = 30
MAX_OUTPUT_LIFT = 3
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0
_FRAME_BYTES = 40
"""JSON around one message, on average."""


def backoff_s(failures: int, asked_s: float, clock: Clock) -> float:
    """How long to wait after the *failures*-th failure in a row: jitter, or longer if asked."""
    ceiling_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(failures - 1, 30))
    return max(asked_s, clock.uniform(0.0, ceiling_s))


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, and what was decided for the request."""

    agent_id: str
    turn: int
    keep_closing: bool = True
    """Whether room for the root's closing request must be left."""

    note: Message | None = None
    """Goes last, and is no part of the request's identity: it tells of time and money."""

    plan: JsonObject | None = None
    """Decisions to make again on resume; None for requests inside tools."""


@dataclass(slots=True)
class Requester:
    """Sends requests to one model for all agents of a run."""

    model: ChatModel
    ledger: Ledger
    journal: Journal
    clock: Clock = field(default_factory=Clock)
    price: Price | None = None
    """None when the price of the model is unknown."""

    request_timeout_s: float = 600.0
    max_output_tokens: int | None = None
    estimator: SizeEstimator = field(default_factory=SizeEstimator)
    _failures: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _tree_failures: int = 0

    def need_of(self, request: ModelRequest) -> Need:
        """The estimate of *request*."""
        return Need(
            self.estimator.tokens(request_size_bytes(request)),
            self._room_tokens(request),
            self.price,
        )

    def _room_tokens(self, request: ModelRequest) -> int:
        """Output tokens that an answer to *request* is given room for."""
        limit_tokens = request.max_output_tokens or self.max_output_tokens
        return limit_tokens or CLOSING_OUTPUT_TOKENS << min(request.output_lift, MAX_OUTPUT_LIFT)

    async def ask(self, asking: Asking, request: ModelRequest, *, on_text: TextSink) -> ModelReply:
        """
        Get the answer to *request*, from the journal or from the model.

        Raises:
            EngineBudgetExceededError: The request does not fit into the budget.
            ModelError: It failed for good, or the context is too long.
            JournalMismatchError: A replay came to a request that was not recorded.
            EngineError: The journal cannot be written.
        """
        sha256 = request_sha256(request)
        recorded = self.journal.take_reply(asking.agent_id, sha256)
        if recorded is not None:
            # The estimate decides later turns: a resumed run learns what the first one did.
            self._learn(request, recorded.usage)
            on_text(recorded.message.content)
            return recorded
        if self.journal.is_replay:
            raise JournalMismatchError(
                f"cannot replay turn {asking.turn} of {asking.agent_id}: its request was "
                f"recorded with another hash than {sha256[:12]}; it ends with: "
                f"{request.messages[-1].content[:200]}"
            )
        return await self._ask_model(asking, request, sha256, on_text)

    async def _ask_model(
        self, asking: Asking, request: ModelRequest, sha256: str, on_text: TextSink
    ) -> ModelReply:
        need = self.need_of(request)
        reservation = self.ledger.reserve(need, keep_closing=asking.keep_closing)
        fields: JsonObject = {
            "agent_id": asking.agent_id,
            "turn": asking.turn,
            "sha256": sha256,
            "estimated_tokens": need.tokens,
            "force_tool": request.force_tool,
        }
        if asking.plan is not None:
            fields["plan"] = asking.plan
        try:
            # Before it is sent: what was paid for and got no answer is then known after a crash.
            self.journal.write("request", **fields)
            reply = await self._try(asking, _with_note(request, asking.note), on_text)
        # Cancellation included; room that stays reserved would starve the other agents.
        except BaseException:
            self.ledger.release(reservation)
            raise
        booked = self.ledger.book(reservation, reply.usage)
        self._learn(request, reply.usage)
        self._write_response(asking, sha256, reply, booked)
        # An answer that was paid for is on disk before anything is done with it.
        await self.journal.sync()
        return reply

    async def _try(self, asking: Asking, request: ModelRequest, on_text: TextSink) -> ModelReply:
        refused_once = False
        while True:
            self.ledger.count_request(request_size_bytes(request))
            try:
                reply = await self.model.complete(self._bounded(request), on_text=on_text)
            except ModelError as exc:
                if exc.action is Action.RETRY_ONCE and refused_once:
                    raise _final(exc) from exc
                refused_once = refused_once or exc.action is Action.RETRY_ONCE
                await self._after_failure(asking, exc)
            else:
                # Only failures in a row tell of a provider that is down; single ones add up.
                self._failures[asking.agent_id] = self._tree_failures = 0
                return reply

    async def _after_failure(self, asking: Asking, exc: ModelError) -> None:
        self.journal.write(
            "retry", agent_id=asking.agent_id, action=exc.action, reason=exc.reason, error=str(exc)
        )
        if exc.action in {Action.SHRINK, Action.WITHHOLD, Action.STOP}:
            raise exc
        self._failures[asking.agent_id] += 1
        self._tree_failures += 1
        failures = self._failures[asking.agent_id]
        if failures >= MAX_FAILURES_OF_AGENT or self._tree_failures >= MAX_FAILURES_OF_TREE:
            raise _final(exc) from exc
        wait_s = 0.0
        if exc.action is Action.RETRY:
            wait_s = backoff_s(failures, exc.retry_after_s, self.clock)
        # A wait beyond the deadline would end in nothing; the report is written instead.
        if wait_s > self.ledger.request_timeout_s(float("inf")):
            raise _final(exc) from exc
        limit = self.ledger.budget.requests
        if limit is not None and self.ledger.spent.requests >= limit:
            raise EngineBudgetExceededError(
                f"cannot send another request: {limit} were sent (`analysis.budget.requests`)",
                reason="requests",
            )
        await self.clock.sleep(wait_s)

    def _bounded(self, request: ModelRequest) -> ModelRequest:
        # What was reserved is the limit, or parallel answers could each pass the budget.
        limit_tokens = request.max_output_tokens or self.max_output_tokens
        if self.ledger.budget.limits_output:
            limit_tokens = self._room_tokens(request)
        return replace(
            request,
            max_output_tokens=limit_tokens,
            timeout_s=self.ledger.request_timeout_s(self.request_timeout_s),
        )

    def _learn(self, request: ModelRequest, usage: Usage | None) -> None:
        if usage is not None and not usage.estimated:
            self.estimator.learn(request_size_bytes(request), usage.input_tokens)

    def _write_response(
        self, asking: Asking, sha256: str, reply: ModelReply, booked: Usage
    ) -> None:
        self.journal.write(
            "response",
            agent_id=asking.agent_id,
            turn=asking.turn,
            sha256=sha256,
            message=reply.message.to_json(),
            finish=reply.finish,
            usage=booked.to_json(),
            usd=cost_usd(booked, self.price),
            reasoning=reply.reasoning,
            request_id=reply.request_id,
        )


def request_size_bytes(request: ModelRequest) -> int:
    """Bytes of what a request says, close to its body."""
    messages = sum(message.size_bytes + _FRAME_BYTES for message in request.messages)
    return messages + sum(tool.size_bytes for tool in request.tools)


def request_sha256(request: ModelRequest) -> str:
    """The identity of a request: its messages, its tools and the tool that is forced."""
    identity = [
        *(message.sha256 for message in request.messages),
        *(tool.sha256 for tool in request.tools),
        request.force_tool,
    ]
    return hashlib.sha256("\n".join(identity).encode()).hexdigest()


def _with_note(request: ModelRequest, note: Message | None) -> ModelRequest:
    if note is None:
        return request
    return replace(request, messages=(*request.messages, note))


def _final(exc: ModelError) -> ModelError:
    return ModelError(str(exc), action=Action.STOP, reason=exc.reason, hint=exc.hint)
