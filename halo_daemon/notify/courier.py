"""
Takes messages from the outbox to their targets, again and again until they are there.

A target that fails waits by itself: targets are served side by side, so a dead
one delays no other. The schedule of attempts spans three days; what is not taken
by then becomes a dead letter.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random

from halo_daemon.config_notify import NotifyConfig
from halo_daemon.errors import StoreError
from halo_daemon.log import get_logger
from halo_daemon.notify.events import Event
from halo_daemon.notify.message import Message, Notifier, Outcome, Verdict
from halo_daemon.notify.outbox import Outbox
from halo_daemon.notify.routes import targets_for

log = get_logger()

_NANOS = 10**9
_MINUTE_S, _HOUR_S = 60.0, 3_600.0
RETRY_DELAYS_S: tuple[float, ...] = (
    5.0,
    5 * _MINUTE_S,
    30 * _MINUTE_S,
    2 * _HOUR_S,
    5 * _HOUR_S,
    10 * _HOUR_S,
    14 * _HOUR_S,
    20 * _HOUR_S,
    24 * _HOUR_S,
)
"""The pause after each failed attempt; after one more failure there is no further attempt."""

MAX_RETRY_AFTER_S = 24 * _HOUR_S
_JITTER = 0.2
_MAX_PAUSE_NS = round(MAX_RETRY_AFTER_S * (1 + _JITTER) * _NANOS)
# A target that nobody knows is waited for as long as a dead one.
_MAX_UNKNOWN_NS = round(sum(RETRY_DELAYS_S) * _NANOS)
# Children put messages, too; nothing but a look finds those.
_LOOK_INTERVAL_S = 5.0


def queue_event(
    event: Event, config: NotifyConfig, outbox: Outbox, *, now_unix_ns: int
) -> tuple[str, ...]:
    """
    Put *event* in the outbox for every target that it is routed to.

    Returns:
        The names of these targets; empty when no route takes the event.

    Raises:
        OutboxFullError: Too many wait; some targets may have their message.
        StoreError: The disk refused; some targets may have their message.
    """
    targets = targets_for(event, config.routes)
    for target in targets:
        outbox.put(
            Message(
                message_id=event.message_id(target),
                target=target,
                body=event.body,
                created_unix_ns=now_unix_ns,
                due_unix_ns=now_unix_ns,
                subject=event.subject,
            )
        )
    return targets


def next_attempt_unix_ns(
    message: Message, outcome: Outcome, *, now_unix_ns: int, rng: Random
) -> int | None:
    """
    When to try again after a failed attempt; None when it was the last.

    The pause is lengthened by up to a fifth at random, and to what the target asked
    for, a day at most.
    """
    if message.attempts >= len(RETRY_DELAYS_S):
        return None
    pause_s = RETRY_DELAYS_S[message.attempts] * rng.uniform(1, 1 + _JITTER)
    return now_unix_ns + round(max(pause_s, _asked_s(outcome)) * _NANOS)


def _is_over(moment_unix_ns: int, now_unix_ns: int) -> bool:
    """Whether a pause has ended; one longer than any that is given is left from a wrong clock."""
    return moment_unix_ns <= now_unix_ns or moment_unix_ns - now_unix_ns > _MAX_PAUSE_NS


def _in_turn(messages: Sequence[Message], now_unix_ns: int) -> Iterator[Message]:
    """What is due, without what comes after a message of its subject that is not."""
    held: set[tuple[str, str]] = set()
    for message in sorted(messages, key=lambda message: message.created_unix_ns):
        line = (message.target, message.subject)
        if line in held:
            continue
        if _is_over(message.due_unix_ns, now_unix_ns):
            yield message
        elif message.subject:
            held.add(line)


def _asked_s(outcome: Outcome) -> float:
    return min(max(outcome.retry_after_s, 0.0), MAX_RETRY_AFTER_S)


class Courier:
    """
    Delivers what is due.

    One event loop owns it. Files are read and written in threads.

    Args:
        outbox: Where messages wait.

        notifiers: The targets by name.

        addresses: Their addresses by name; a target that is gone stays so until its
            address changes.

        now_unix_ns: The wall clock.

        rng: Spreads attempts.
    """

    def __init__(
        self,
        outbox: Outbox,
        notifiers: Mapping[str, Notifier],
        *,
        addresses: Mapping[str, str],
        now_unix_ns: Callable[[], int],
        rng: Random,
    ) -> None:
        self._outbox = outbox
        self._notifiers = notifiers
        self._addresses = addresses
        self._now_unix_ns = now_unix_ns
        self._rng = rng
        self._held_until_unix_ns: dict[str, int] = {}
        # Accepted, but the disk would not forget them: never to be sent again by this process.
        self._accepted: set[str] = set()

    async def serve(self) -> None:
        """Deliver until cancelled; a full or failing disk is logged and tried again."""
        while True:
            try:
                await self.deliver_due()
            except StoreError as exc:
                log.error("outbox_unavailable", error=str(exc), hint=exc.hint)  # noqa: TRY400 -- expected
            await asyncio.sleep(_LOOK_INTERVAL_S)

    async def deliver_due(self) -> int:
        """
        Try everything that is due once.

        Returns:
            How many messages were accepted; 0 also while another process delivers.

        Raises:
            StoreError: The outbox cannot be used.
        """
        with self._outbox.claim() as is_ours:
            if not is_ours:
                return 0
            messages = await asyncio.to_thread(self._outbox.pending)
            now_unix_ns = self._now_unix_ns()
            by_target: dict[str, list[Message]] = {}
            for message in _in_turn(messages, now_unix_ns):
                by_target.setdefault(message.target, []).append(message)
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [
                        group.create_task(self._serve_target(target, due))
                        for target, due in by_target.items()
                    ]
            except* StoreError as failed:
                raise failed.exceptions[0] from failed
            return sum(task.result() for task in tasks)

    async def _serve_target(self, target: str, messages: Sequence[Message]) -> int:
        accepted = 0
        for message in messages:
            if target not in self._notifiers:
                await self._leave_or_give_up(message)
                continue
            if not _is_over(self._held_until_unix_ns.get(target, 0), self._now_unix_ns()):
                break
            accepted += await self._attempt(message)
        return accepted

    async def _leave_or_give_up(self, message: Message) -> None:
        """Leave a message of an unknown target for a process that knows it, within bounds."""
        if self._now_unix_ns() - message.created_unix_ns > _MAX_UNKNOWN_NS:
            await self._give_up(message, "no such target is configured")

    async def _attempt(self, message: Message) -> bool:
        address = self._addresses[message.target]
        if message.message_id in self._accepted:
            outcome = Outcome(Verdict.ACCEPTED)
        elif await asyncio.to_thread(self._outbox.is_disabled, message.target, address):
            outcome = Outcome(Verdict.GONE, "it was gone before, and its address is the same")
        else:
            outcome = await self._deliver(message)
            if outcome.verdict is Verdict.GONE:
                await asyncio.to_thread(self._outbox.disable, message.target, address)
        await self._settle(message, outcome)
        return outcome.verdict is Verdict.ACCEPTED

    async def _deliver(self, message: Message) -> Outcome:
        started_unix_ns = self._now_unix_ns()
        try:
            outcome = await self._notifiers[message.target].deliver(message)
        except Exception as exc:  # One target must not stop the others.
            log.exception("delivery_crashed", target=message.target)
            outcome = Outcome(Verdict.FAILED, type(exc).__name__)
        emit = log.info if outcome.verdict is Verdict.ACCEPTED else log.warning
        emit(
            "delivery_attempted",
            target=message.target,
            message_id=message.message_id,
            attempt=message.attempts + 1,
            verdict=outcome.verdict.value,
            reason=outcome.reason,
            duration_ms=(self._now_unix_ns() - started_unix_ns) // 1_000_000,
        )
        return outcome

    async def _settle(self, message: Message, outcome: Outcome) -> None:
        if outcome.verdict is Verdict.ACCEPTED:
            self._accepted.add(message.message_id)
            await asyncio.to_thread(self._outbox.delivered, message)
            self._accepted.discard(message.message_id)
        elif outcome.verdict is Verdict.FAILED:
            await self._postpone(message, outcome)
        else:
            await self._give_up(message, outcome.reason)

    async def _postpone(self, message: Message, outcome: Outcome) -> None:
        now_unix_ns = self._now_unix_ns()
        due_unix_ns = next_attempt_unix_ns(message, outcome, now_unix_ns=now_unix_ns, rng=self._rng)
        # Others for the same target wait as well, or a dead one would be asked for each; and
        # so does this message where the disk refuses to note its next attempt.
        pause_ns = round(max(_asked_s(outcome), RETRY_DELAYS_S[0]) * _NANOS)
        self._held_until_unix_ns[message.target] = now_unix_ns + pause_ns
        if due_unix_ns is None:
            await self._give_up(message, outcome.reason)
        else:
            await asyncio.to_thread(self._outbox.retry_at, message, due_unix_ns)

    async def _give_up(self, message: Message, reason: str) -> None:
        await asyncio.to_thread(self._outbox.bury, message)
        log.error(
            "message_given_up",
            target=message.target,
            message_id=message.message_id,
            attempts=message.attempts,
            reason=reason,
            hint="halo-daemon notify redeliver tries it again; notify log lists what was given up",
        )
