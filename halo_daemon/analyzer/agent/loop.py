"""
One agent: ask, run the tools it asks for, until it answers.

Theory of operation
===================

A turn is one answered request and the tool calls it asks for. Before each one
it is decided whether it is the last that can be paid; the last one forces
`final_answer`. Mistakes of the model become messages to the model; faults of
the provider become the reason of a partial end. Nothing that happens in here
loses what was found before.

Rule 1: the turn count only goes up; refusals and reminders are turns.

Rule 2: a call and its result enter the conversation together.

Rule 3: what is decided from money or time is journalled with the request, so a
resumed run decides the same.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from halo_daemon.analyzer.agent.arguments import read_arguments
from halo_daemon.analyzer.agent.compaction import compact, withhold
from halo_daemon.analyzer.agent.conversation import Conversation
from halo_daemon.analyzer.agent.errors import (
    Action,
    EngineBudgetExceededError,
    EngineError,
    EngineToolError,
    JournalMismatchError,
    ModelError,
)
from halo_daemon.analyzer.agent.final_answer import (
    FINAL_ANSWER,
    FINAL_MARK,
    FinalAnswer,
    FinalAnswerArguments,
)
from halo_daemon.analyzer.agent.messages import Message, Role, ToolCall
from halo_daemon.analyzer.agent.model import Finish, ModelReply, ModelRequest
from halo_daemon.analyzer.agent.refusal import is_refusal
from halo_daemon.analyzer.agent.requester import Asking, request_size_bytes
from halo_daemon.analyzer.agent.spec import AgentOutcome, AgentSpec, Surroundings
from halo_daemon.analyzer.agent.toolbox import Toolbox
from halo_daemon.analyzer.agent.turns import TurnPlan, note_for, what_fits
from halo_daemon.analyzer.agent.voice import Voice
from halo_daemon.proto.redact import redact_text

# More at once is a model that lost its way; the surplus is refused in words, not run.
MAX_CALLS_PER_TURN = 32
# Each takes about a third away, so three in a row that do not help never will.
MAX_SHRINKS_IN_A_ROW = 3
_SHRINK_SHARE = 0.7
MAX_UNKNOWN_TOOLS_IN_A_ROW = 3


class _StoppedError(EngineError):
    """The loop ends with a reason."""


class Agent:
    """Runs one conversation to its end."""

    def __init__(
        self,
        spec: AgentSpec,
        around: Surroundings,
        toolbox: Toolbox,
        final: FinalAnswer,
        *,
        conversation: Conversation | None = None,
    ) -> None:
        self.spec = spec
        self.conversation = conversation or Conversation()
        self._around = around
        self._toolbox = toolbox
        self._final = final
        self._voice = Voice(spec, around)
        self._turns = self._tool_calls = 0
        self._refusals = self._reminders = self._empty_answers = self._unknown_tools = 0
        self._filter_hits = self._output_lift = 0
        self._must_close = False
        self._last_text = ""

    async def run(self, task: Sequence[Message]) -> AgentOutcome:
        """
        Work on *task* until there is an answer or nothing more can be paid.

        Args:
            task: What stands after the system text; a system message at its front
                replaces the system text.

        Raises:
            JournalMismatchError: A resumed or replayed run took another way.
        """
        try:
            self._open(task)
            while self._turns < self.spec.maximum_turns:
                started_s = self._around.ledger.elapsed_s
                reply = await self._ask(self._plan())
                await self._act(reply)
                self._around.ledger.note_turn(self._around.ledger.elapsed_s - started_s)
                self._voice.turn_over(self._turns, self.conversation)
                if self._final.accepted is not None:
                    return self._finished(self._final.accepted)
        # Going on would mix two runs in one journal; everything else ends in words.
        except JournalMismatchError:
            raise
        except EngineError as exc:
            ended = self._ended("partial", _reason_of(exc), self._last_text)
            return ended if isinstance(exc, _StoppedError) else _explained(ended, exc)
        return self._ended("partial", "turns", self._last_text)

    def _open(self, task: Sequence[Message]) -> None:
        own_system = task and task[0].role is Role.SYSTEM
        system = [] if own_system else [Message(Role.SYSTEM, self.spec.system_prompt)]
        # Ids follow from the place alone: a resumed run must build the very same requests.
        for place, message in enumerate([*system, *task]):
            item_id = "sys-0" if place == 0 else f"in-{place - 1}"
            self._add(item_id, message)
        asked = [message.content for message in task if message.role is Role.USER]
        self._voice.started(asked[-1] if asked else "")

    def _plan(self) -> TurnPlan:
        number = self._turns + 1
        # Decided anew, a resumed run could close a turn earlier and miss every recorded answer.
        recorded = self._around.journal.plan(self.spec.agent_id, number)
        if recorded is not None:
            return TurnPlan.from_json(number, recorded)
        plan = TurnPlan(number)
        window_tokens, settings = self._around.window.tokens, self._around.compaction
        if self._input_tokens() > settings.compact_at * window_tokens:
            plan = plan.compacting(self._target_bytes())
        # An answer that is forced in time beats findings that nobody summed up.
        is_last_turn = number == self.spec.maximum_turns or self._must_close
        only_closing, obstacle = self._what_fits()
        if obstacle:
            raise EngineBudgetExceededError(
                f"cannot go on: the limit of {obstacle} is reached", reason=obstacle
            )
        return replace(plan, is_closing=is_last_turn or only_closing)

    def _what_fits(self) -> tuple[bool, str]:
        around, is_root = self._around, self.spec.is_root
        need = around.requester.need_of(self._request(is_closing=False))
        fits = what_fits(around.ledger, need, is_root=is_root)
        # More room for output was a favour; it must not be what ends the run.
        if self._output_lift and fits != (False, ""):
            self._output_lift = 0
            return self._what_fits()
        return fits

    async def _ask(self, plan: TurnPlan) -> ModelReply:
        # A recorded plan holds the compactions of its first attempt too, so they happen again.
        for target_bytes in plan.compact_to_bytes:
            await self._compact(target_bytes)
        if plan.withhold:
            self._withhold(plan.withhold)
        for _ in range(MAX_SHRINKS_IN_A_ROW + 1):
            try:
                return await self._send(plan)
            except ModelError as exc:
                plan = await self._mend(plan, exc)
        raise _StoppedError("context")

    async def _send(self, plan: TurnPlan) -> ModelReply:
        around, spec = self._around, self.spec
        asking = Asking(
            spec.agent_id,
            plan.number,
            keep_closing=not (spec.is_root and plan.is_closing),
            note=note_for(plan, spec.maximum_turns, around.ledger),
            plan=plan.to_json(),
        )
        item_id = f"msg-{plan.number}"
        reply = await around.requester.ask(
            asking,
            self._request(is_closing=plan.is_closing),
            on_text=lambda text: self._voice.text(item_id, text),
        )
        # Counted once answered: a request that fails for good leaves the turn to be asked again.
        self._turns = plan.number
        return reply

    async def _mend(self, plan: TurnPlan, exc: ModelError) -> TurnPlan:
        # The provider's tokeniser decides what is too long; ours only guesses.
        if exc.action is Action.SHRINK:
            target_bytes = self._learn_window(exc.window_tokens)
            if not await self._compact(target_bytes):
                raise _StoppedError("context") from exc
            return plan.compacting(target_bytes)
        entry = self.conversation.newest_answer()
        self._filter_hits += exc.action is Action.WITHHOLD
        if exc.action is Action.WITHHOLD and entry is not None and self._filter_hits == 1:
            self._withhold(entry.item_id)
            return replace(plan, withhold=entry.item_id)
        raise exc

    def _learn_window(self, named_tokens: int) -> int:
        """Take over what a refused request tells of the window; the bytes to shrink to."""
        around, refused_tokens = self._around, self._input_tokens()
        around.window.learn(named_tokens, refused_tokens)
        if refused_tokens < named_tokens:
            # It was refused for its size, so it holds more tokens than estimated.
            request_bytes = request_size_bytes(self._request(is_closing=False))
            around.requester.estimator.learn(request_bytes, named_tokens)
        smaller_bytes = int(_SHRINK_SHARE * self.conversation.size_bytes)
        return min(self._target_bytes(), smaller_bytes)

    def _request(self, *, is_closing: bool) -> ModelRequest:
        return ModelRequest(
            self.conversation.messages,
            self._toolbox.schemas,
            force_tool=FINAL_ANSWER if is_closing else "",
            output_lift=self._output_lift,
        )

    async def _act(self, reply: ModelReply) -> None:
        calls = self._usable_calls(reply)
        text = reply.message.content
        # Reasoning models may spend the limit before they speak; unchanged they do it again.
        self._output_lift += reply.finish is Finish.LENGTH
        if reply.finish is Finish.FILTERED:
            self._after_filter()
        elif reply.finish is Finish.REFUSED or (not calls and is_refusal(text)):
            self._after_refusal()
        elif not calls and not text.strip():
            self._after_nothing(reply)
        elif not calls:
            self._after_text(reply)
        else:
            await self._run_calls(self._with_own_ids(calls), text)

    def _usable_calls(self, reply: ModelReply) -> tuple[ToolCall, ...]:
        calls = reply.message.tool_calls
        if reply.finish is not Finish.LENGTH or not calls:
            return calls
        try:
            # The limit cuts the last call only; those before it are whole.
            read_arguments(calls[-1].arguments)
        except EngineToolError:
            return calls[:-1]
        return calls

    def _with_own_ids(self, calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
        taken: set[str] = set()
        own = []
        for place, call in enumerate(calls):
            call_id = call.call_id
            # Some servers send no ids, or the same ones each turn; answers would then be mixed up.
            if not call_id or call_id in taken or self.conversation.has_call_id(call_id):
                call_id = f"call-{self._turns}-{place}"
            taken.add(call_id)
            own.append(replace(call, call_id=call_id))
        return tuple(own)

    async def _run_calls(self, calls: tuple[ToolCall, ...], text: str) -> None:
        self._say(Message(Role.ASSISTANT, text, calls))
        has_final = any(call.name == FINAL_ANSWER for call in calls)
        self._unknown_tools += 1
        if any(self._toolbox.knows(call.name) for call in calls):
            self._unknown_tools = 0
        self._must_close = self._must_close or self._unknown_tools >= MAX_UNKNOWN_TOOLS_IN_A_ROW
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._answer(call, place, has_final=has_final))
                    for place, call in enumerate(calls)
                ]
        except BaseExceptionGroup as failed:
            # A failing journal ends the run; which of the parallel calls met it is no matter.
            ours = failed.subgroup(EngineError)
            raise (ours.exceptions[0] if ours else failed) from failed
        for call, task in zip(calls, tasks, strict=True):
            self._hear(call, task.result())

    async def _answer(self, call: ToolCall, place: int, *, has_final: bool) -> str:
        # What runs beside `final_answer` could not be seen by it, so it is not paid for.
        if has_final and (call.name != FINAL_ANSWER or self._final.accepted is not None):
            return self._toolbox.error("not run: the run is ending")
        if place >= MAX_CALLS_PER_TURN:
            return self._toolbox.error(
                f"not run: more than {MAX_CALLS_PER_TURN} calls in one turn", hint="ask again"
            )
        self._tool_calls += 1
        journal, agent_id = self._around.journal, self.spec.agent_id
        recorded = journal.tool_answer(agent_id, call.call_id)
        # A recorded answer stands for its call, effects aside; accepting the answer is an effect.
        if recorded is not None and call.name != FINAL_ANSWER:
            self._toolbox.recall(call)
            return recorded
        clock = self._around.requester.clock
        started_s = clock.monotonic_s()
        answer = await self._toolbox.answer(call)
        duration_ms = int((clock.monotonic_s() - started_s) * 1000)
        await journal.write_tool_result(agent_id, call.call_id, answer, duration_ms)
        return answer

    def _after_text(self, reply: ModelReply) -> None:
        text = self._last_text = reply.message.content
        if FINAL_MARK in text:
            self._final.accept_text(text.replace(FINAL_MARK, "").strip())
            return
        self._say(Message(Role.ASSISTANT, text))
        # A sub-agent's text is its answer to the parent; only a report needs the form.
        if not self.spec.is_root:
            self._final.accept_text(text)
            return
        if reply.finish is Finish.LENGTH:
            self._tell("Your text was cut at the output limit. Go on with shorter steps.")
            return
        if self._reminders >= self.spec.final_answer_reprompts:
            raise _StoppedError("no_final_answer")
        self._reminders += 1
        self._tell("Nothing was called. Call a tool to go on, or `final_answer` to finish.")

    def _after_nothing(self, reply: ModelReply) -> None:
        if reply.finish is Finish.LENGTH:
            self._tell("Your call was cut at the output limit. Make a shorter one.")
            return
        self._empty_answers += 1
        # One empty answer is a hiccup of the provider; the next turn asks the same again.
        if self._empty_answers > 1:
            raise _StoppedError("no_final_answer")

    def _after_refusal(self) -> None:
        self._refusals += 1
        # Refusals are not added to the conversation: having refused, a model repeats itself.
        if self._refusals > self.spec.refusal_retries:
            raise _StoppedError("refusal")

    def _after_filter(self) -> None:
        self._filter_hits += 1
        entry = self.conversation.newest_answer()
        if self._filter_hits > 1 or entry is None:
            raise _StoppedError("content_filter")
        self._withhold(entry.item_id)

    def _input_tokens(self) -> int:
        return self._around.requester.need_of(self._request(is_closing=False)).input_tokens

    def _target_bytes(self) -> int:
        around = self._around
        target_tokens = around.compaction.target * around.window.tokens
        excess_tokens = max(0.0, self._input_tokens() - target_tokens)
        # Tool schemas and the system text cannot shrink, so the conversation gives all of it.
        excess_bytes = excess_tokens * around.requester.estimator.bytes_per_token
        return max(0, int(self.conversation.size_bytes - excess_bytes))

    async def _compact(self, target_bytes: int) -> int:
        around = self._around
        done = await compact(
            self.conversation,
            target_bytes=target_bytes,
            settings=around.compaction,
            summarise=around.summarise,
        )
        self._voice.compacted(done)
        return done.items

    def _withhold(self, item_id: str) -> None:
        entry = self.conversation.find(item_id)
        if entry is not None:
            withhold(entry)

    def _say(self, message: Message) -> None:
        self._add(f"msg-{self._turns}", message)

    def _hear(self, call: ToolCall, answer: str) -> None:
        message = Message(Role.TOOL, answer, tool_call_id=call.call_id, name=call.name)
        self._add(f"tool-result-{call.call_id}", message)

    def _tell(self, text: str) -> None:
        self._add(f"note-{self._turns}", Message(Role.USER, text))

    def _add(self, item_id: str, message: Message) -> None:
        self.conversation.add(item_id, self._turns, message)
        self._voice.item(message)

    def _finished(self, accepted: FinalAnswerArguments) -> AgentOutcome:
        self._voice.item(Message(Role.ASSISTANT, accepted.answer), final=self.spec.is_root)
        return self._ended("complete", "", accepted.answer, accepted)

    def _ended(
        self,
        status: Literal["complete", "partial"],
        reason: str,
        answer: str,
        accepted: FinalAnswerArguments | None = None,
    ) -> AgentOutcome:
        outcome = AgentOutcome(
            status,
            reason,
            answer,
            self._turns,
            self._tool_calls,
            questions=tuple(accepted.questions) if accepted else (),
            not_looked_at=tuple(accepted.not_looked_at) if accepted else (),
        )
        try:
            self._voice.ended(outcome)
        except EngineError:
            # The disk refuses; the outcome itself still says everything.
            return replace(outcome, status="partial", reason=reason or "journal")
        return outcome


def _explained(outcome: AgentOutcome, exc: EngineError) -> AgentOutcome:
    return replace(outcome, detail=redact_text(str(exc)).text, hint=exc.hint)


def _reason_of(exc: EngineError) -> str:
    if isinstance(exc, (EngineBudgetExceededError, ModelError)):
        return exc.reason
    return str(exc) if isinstance(exc, _StoppedError) else "journal"
