import asyncio
from dataclasses import replace
from random import Random

import pytest

from halo_daemon.config_notify import NotifyConfig, NotifyRoute
from halo_daemon.errors import StoreError
from halo_daemon.notify.courier import (
    MAX_RETRY_AFTER_S,
    RETRY_DELAYS_S,
    Courier,
    next_attempt_unix_ns,
    queue_event,
)
from halo_daemon.notify.events import Event
from halo_daemon.notify.message import Message, Outcome, Verdict
from halo_daemon.notify.outbox import Outbox

NOW_NS = 1_790_000_000 * 10**9
SECOND_NS = 10**9
ACCEPTED = Outcome(Verdict.ACCEPTED)
FAILED = Outcome(Verdict.FAILED, "status 500")
GONE = Outcome(Verdict.GONE, "status 410")


def _message(number: int = 1, target: str = "ops", *, attempts: int = 0) -> Message:
    return Message(f"msg_{number}", target, b"{}", NOW_NS, NOW_NS, attempts)


class _ScriptedNotifier:
    """Answers from a list, then accepts."""

    def __init__(self, *outcomes: Outcome | Exception) -> None:
        self.outcomes = list(outcomes)
        self.seen: list[str] = []
        self.gate: asyncio.Event | None = None
        self.delivered = asyncio.Event()

    async def deliver(self, message: Message) -> Outcome:
        self.seen.append(message.message_id)
        if self.gate:
            await self.gate.wait()
        outcome = self.outcomes.pop(0) if self.outcomes else ACCEPTED
        self.delivered.set()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class _SwitchableOutbox(Outbox):
    """An outbox on a disk that can become read-only."""

    is_read_only = False

    def delivered(self, message: Message) -> None:
        if self.is_read_only:
            raise StoreError("cannot forget a message: read-only")
        super().delivered(message)


class _Post:
    """A courier over a real outbox, with a clock that is set by hand."""

    def __init__(self, tmp_path, **notifiers: _ScriptedNotifier) -> None:
        self.outbox = _SwitchableOutbox(tmp_path)
        self.now_unix_ns = NOW_NS
        self.addresses = dict.fromkeys(notifiers, "https://ops.example/")
        self.courier = Courier(
            self.outbox,
            notifiers,
            addresses=self.addresses,
            now_unix_ns=lambda: self.now_unix_ns,
            rng=Random(1),
        )


async def test_what_is_due_is_delivered_once(tmp_path):
    """An accepted message is gone from the outbox."""
    notifier = _ScriptedNotifier()
    post = _Post(tmp_path, ops=notifier)
    post.outbox.put(_message())

    assert await post.courier.deliver_due() == 1
    assert await post.courier.deliver_due() == 0

    assert notifier.seen == ["msg_1"]
    assert post.outbox.pending() == []


async def test_a_failing_target_is_tried_on_schedule_and_then_given_up(tmp_path):
    """Ten attempts, each after its pause, then the message is a dead letter."""
    notifier = _ScriptedNotifier(*[FAILED] * 20)
    post = _Post(tmp_path, ops=notifier)
    post.outbox.put(_message())
    pauses_s = []

    while pending := post.outbox.pending():
        pauses_s.append((pending[0].due_unix_ns - post.now_unix_ns) / SECOND_NS)
        post.now_unix_ns = pending[0].due_unix_ns
        await post.courier.deliver_due()

    assert len(notifier.seen) == 1 + len(RETRY_DELAYS_S) == 10
    assert all(
        delay <= pause <= delay * 1.2
        for delay, pause in zip(RETRY_DELAYS_S, pauses_s[1:], strict=True)
    )
    assert [letter.attempts for letter in post.outbox.dead_letters()] == [9]


async def test_a_message_that_is_not_due_waits(tmp_path):
    """Nothing is sent before its time."""
    notifier = _ScriptedNotifier(FAILED)
    post = _Post(tmp_path, ops=notifier)
    post.outbox.put(_message())
    await post.courier.deliver_due()

    post.now_unix_ns += 4 * SECOND_NS
    await post.courier.deliver_due()
    assert len(notifier.seen) == 1
    post.now_unix_ns += 3 * SECOND_NS
    await post.courier.deliver_due()
    assert len(notifier.seen) == 2


async def test_a_target_that_fails_is_not_asked_for_each_of_its_messages(tmp_path):
    """After one failure the others of that target wait, without losing an attempt."""
    notifier = _ScriptedNotifier(Outcome(Verdict.FAILED, "status 429", retry_after_s=60))
    post = _Post(tmp_path, ops=notifier)
    for number in range(3):
        post.outbox.put(_message(number))

    await post.courier.deliver_due()
    post.now_unix_ns += 59 * SECOND_NS
    await post.courier.deliver_due()
    assert notifier.seen == ["msg_0"]
    post.now_unix_ns += 2 * SECOND_NS
    await post.courier.deliver_due()
    assert sorted(notifier.seen[1:]) == ["msg_0", "msg_1", "msg_2"]


async def test_an_absurd_pause_is_cut_to_a_day(tmp_path):
    """A target cannot silence itself for ever by asking for too much."""
    notifier = _ScriptedNotifier(Outcome(Verdict.FAILED, "status 429", retry_after_s=1e300))
    post = _Post(tmp_path, ops=notifier)
    post.outbox.put(_message())

    await post.courier.deliver_due()
    post.now_unix_ns += 25 * 3_600 * SECOND_NS
    await post.courier.deliver_due()

    assert len(notifier.seen) == 2


async def test_a_dead_target_delays_no_other(tmp_path):
    """Targets are served side by side."""
    slow, quick = _ScriptedNotifier(FAILED), _ScriptedNotifier()
    slow.gate = asyncio.Event()
    post = _Post(tmp_path, slow=slow, quick=quick)
    post.outbox.put(_message(1, "slow"))
    post.outbox.put(_message(2, "quick"))

    async with asyncio.timeout(10):
        task = asyncio.ensure_future(post.courier.deliver_due())
        await quick.delivered.wait()
        assert slow.outcomes == [FAILED]
        slow.gate.set()
        assert await task == 1


async def test_a_target_that_is_gone_is_not_asked_again(tmp_path):
    """A 410 ends it, over restarts, until the address changes."""
    notifier = _ScriptedNotifier(GONE)
    post = _Post(tmp_path, ops=notifier)
    post.outbox.put(_message(1))
    await post.courier.deliver_due()
    again = _Post(tmp_path, ops=notifier)
    again.outbox.put(_message(2))

    await again.courier.deliver_due()
    assert notifier.seen == ["msg_1"]
    assert len(again.outbox.dead_letters()) == 2
    again.addresses["ops"] = "https://new.example/"
    again.outbox.put(_message(3))
    await again.courier.deliver_due()
    assert notifier.seen == ["msg_1", "msg_3"]


async def test_a_message_for_an_unknown_target_waits_for_a_process_that_knows_it(tmp_path):
    """Another configuration neither sends nor drops it; days later it is given up."""
    post = _Post(tmp_path)
    post.outbox.put(_message())

    await post.courier.deliver_due()
    assert post.outbox.pending() == [_message()]
    post.now_unix_ns += 4 * 86_400 * SECOND_NS
    await post.courier.deliver_due()
    assert post.outbox.dead_letters() == [_message()]


async def test_a_crash_in_a_target_is_a_failed_attempt(tmp_path):
    """A bug in one target stops neither the courier nor the retries."""
    notifier = _ScriptedNotifier(RuntimeError("a bug"))
    post = _Post(tmp_path, ops=notifier)
    post.outbox.put(_message())

    await post.courier.deliver_due()

    assert post.outbox.pending()[0].attempts == 1


async def test_what_was_accepted_is_not_sent_again_where_the_disk_refuses(tmp_path):
    """A message that cannot be removed is removed later, without another delivery."""
    notifier = _ScriptedNotifier()
    post = _Post(tmp_path, ops=notifier)
    post.outbox.put(_message())
    path = tmp_path / "pending" / "msg_1.json"
    content = path.read_bytes()

    post.outbox.is_read_only = True
    with pytest.raises(StoreError):
        await post.courier.deliver_due()
    post.outbox.is_read_only = False
    assert path.read_bytes() == content
    await post.courier.deliver_due()

    assert notifier.seen == ["msg_1"]
    assert post.outbox.pending() == []


async def test_a_pause_from_a_wrong_clock_is_not_waited_for(tmp_path):
    """A message that is due in a year was put off by a clock that was wrong."""
    notifier = _ScriptedNotifier(FAILED)
    post = _Post(tmp_path, ops=notifier)
    post.now_unix_ns += 365 * 86_400 * SECOND_NS
    post.outbox.put(_message())
    await post.courier.deliver_due()

    post.now_unix_ns = NOW_NS
    await post.courier.deliver_due()

    assert notifier.seen == ["msg_1", "msg_1"]


async def test_a_second_process_stands_back(tmp_path):
    """While another process delivers, nothing is sent twice."""
    notifier = _ScriptedNotifier()
    post = _Post(tmp_path, ops=notifier)
    post.outbox.put(_message())

    with Outbox(tmp_path).claim():
        assert await post.courier.deliver_due() == 0
    assert await post.courier.deliver_due() == 1


async def test_the_courier_serves_until_it_is_cancelled(tmp_path):
    """A message that is there at start goes out without being asked for."""
    notifier = _ScriptedNotifier()
    post = _Post(tmp_path, ops=notifier)
    post.outbox.put(_message())

    async with asyncio.timeout(10):
        task = asyncio.ensure_future(post.courier.serve())
        await notifier.delivered.wait()
        task.cancel()
        await asyncio.wait([task])

    assert task.cancelled()
    assert notifier.seen == ["msg_1"]


@pytest.mark.parametrize("asked_s", [0.0, 1.0, 3_600.0, 1e12, -5.0])
def test_the_pause_obeys_the_target_within_a_day(asked_s):
    """A target may ask for a longer pause, never for a shorter one or an endless one."""
    due = next_attempt_unix_ns(
        _message(), Outcome(Verdict.FAILED, "", asked_s), now_unix_ns=NOW_NS, rng=Random(1)
    )

    assert due is not None
    assert 5 <= (due - NOW_NS) / SECOND_NS <= MAX_RETRY_AFTER_S
    assert (due - NOW_NS) / SECOND_NS >= min(asked_s, MAX_RETRY_AFTER_S)


def test_an_event_is_queued_for_every_target_of_its_route(tmp_path):
    """Each target gets a message of its own with the event's body."""
    config = NotifyConfig(routes=(NotifyRoute(to=("ops", "log"), when=("report",)),))
    outbox = Outbox(tmp_path)
    event = Event("report", "report.created/bot/r_1", b'{"a": 1}', "bot")

    assert queue_event(event, config, outbox, now_unix_ns=NOW_NS) == ("ops", "log")

    messages = outbox.pending()
    assert {message.target for message in messages} == {"ops", "log"}
    assert {message.body for message in messages} == {event.body}
    assert len({message.message_id for message in messages}) == 2


def test_without_a_route_nothing_is_queued(tmp_path):
    """The default configuration tells nobody."""
    outbox = Outbox(tmp_path)

    event = Event("report", "k", b"{}", "bot")

    assert queue_event(event, NotifyConfig(), outbox, now_unix_ns=1) == ()
    assert outbox.pending() == []


async def test_events_of_one_subject_arrive_in_the_order_in_which_they_happened(tmp_path):
    """While the first of a finding waits for its next attempt, the second waits behind it."""
    notifier = _ScriptedNotifier(FAILED)
    post = _Post(tmp_path, ops=notifier)
    post.outbox.put(replace(_message(2), subject="bot/F-1"))
    await post.courier.deliver_due()
    later = post.now_unix_ns = NOW_NS + 5 * SECOND_NS
    post.outbox.retry_at(post.outbox.pending()[0], later + 60 * SECOND_NS)
    for number, subject in ((1, "bot/F-1"), (3, "bot/F-2"), (4, "")):
        message = Message(f"msg_{number}", "ops", b"{}", later, later, 0, subject)
        post.outbox.put(message)

    await post.courier.deliver_due()
    assert notifier.seen == ["msg_2", "msg_3", "msg_4"]

    post.now_unix_ns = later + 60 * SECOND_NS
    await post.courier.deliver_due()
    assert notifier.seen == ["msg_2", "msg_3", "msg_4", "msg_2", "msg_1"]
