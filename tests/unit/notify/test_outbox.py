import pytest

from halo_daemon.errors import StoreError
from halo_daemon.notify import outbox as outbox_module
from halo_daemon.notify.message import Message
from halo_daemon.notify.outbox import Outbox
from halo_daemon.testing.failing_disk import FailingDisk

BODY = '{"text": "café \\" 1"}'.encode()


def _message(number: int = 1, *, due_unix_ns: int = 5, attempts: int = 0) -> Message:
    return Message(f"msg_{number}", "ops", BODY, 3, due_unix_ns, attempts)


def test_a_message_survives_a_restart(tmp_path):
    """What was put is there for another process, byte for byte."""
    Outbox(tmp_path).put(_message())

    assert Outbox(tmp_path).pending() == [_message()]


def test_an_empty_outbox_has_no_messages(tmp_path):
    """Asking creates nothing."""
    outbox = Outbox(tmp_path / "none")

    assert (outbox.pending(), outbox.dead_letters()) == ([], [])
    assert not (tmp_path / "none").exists()


def test_messages_come_in_the_order_in_which_they_are_due(tmp_path):
    """The oldest due time comes first, ties by id."""
    outbox = Outbox(tmp_path)
    for number, due_unix_ns in ((3, 7), (1, 9), (2, 7)):
        outbox.put(_message(number, due_unix_ns=due_unix_ns))

    assert [message.message_id for message in outbox.pending()] == ["msg_2", "msg_3", "msg_1"]


def test_the_same_message_is_kept_once(tmp_path):
    """Putting an event twice does not reset its attempts."""
    outbox = Outbox(tmp_path)
    outbox.put(_message())
    outbox.retry_at(_message(), 99)

    outbox.put(_message())

    assert outbox.pending() == [_message(due_unix_ns=99, attempts=1)]


def test_a_delivered_message_is_gone(tmp_path):
    """Nothing is left of it, and telling so twice does no harm."""
    outbox = Outbox(tmp_path)
    outbox.put(_message())

    outbox.delivered(_message())
    outbox.delivered(_message())

    assert (outbox.pending(), outbox.dead_letters()) == ([], [])


def test_a_buried_message_is_kept_as_a_dead_letter(tmp_path):
    """It is tried no more, and can be looked at."""
    outbox = Outbox(tmp_path)
    outbox.put(_message())

    outbox.bury(_message())

    assert (outbox.pending(), outbox.dead_letters()) == ([], [_message()])


@pytest.mark.parametrize("limit", ["MAX_PENDING", "MAX_DEAD"])
def test_the_outbox_is_bounded(tmp_path, monkeypatch, limit):
    """Beyond the bounds a put is refused, and the oldest dead letter dropped."""
    monkeypatch.setattr(outbox_module, limit, 2)
    outbox = Outbox(tmp_path)

    for number in range(3):
        if limit == "MAX_PENDING" and number == 2:
            with pytest.raises(StoreError, match="2 wait already"):
                outbox.put(_message(number))
            continue
        outbox.put(_message(number))
        if limit == "MAX_DEAD":
            outbox.bury(_message(number))

    assert len(outbox.pending()) + len(outbox.dead_letters()) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"id": 1}',
        b"\xff",
        b'{"id": "msg_9", "target": "ops", "body": 5}',
        b"\0" * 50,
    ],
)
def test_a_damaged_file_is_set_aside(tmp_path, content):
    """What cannot be read costs neither the other messages nor the next start."""
    outbox = Outbox(tmp_path)
    outbox.put(_message())
    (tmp_path / "pending" / "msg_9.json").write_bytes(content)

    assert outbox.pending() == [_message()]
    assert not (tmp_path / "pending" / "msg_9.json").exists()


def test_a_half_written_file_is_not_a_message(tmp_path):
    """What a crash left behind is passed over."""
    outbox = Outbox(tmp_path)
    outbox.put(_message())
    (tmp_path / "pending" / ".partial-msg_8.json").write_bytes(b"{")

    assert outbox.pending() == [_message()]


def test_a_failing_disk_never_half_puts_a_message(tmp_path):
    """Whichever system call fails, the message is wholly there or the caller knows it is not."""
    for call in range(1, 40):
        disk = FailingDisk(call)
        outbox = Outbox(tmp_path / str(call), disk=disk)
        try:
            outbox.put(_message())
        except StoreError:
            pass
        else:
            assert Outbox(tmp_path / str(call)).pending() == [_message()]
        assert Outbox(tmp_path / str(call)).pending() in ([], [_message()])
        if disk.calls < call:
            break
    else:
        pytest.fail("the loop never reached a call that does not fail")


def test_only_one_process_delivers(tmp_path):
    """The second claim is told to stand back, and gets its turn afterwards."""
    first, second = Outbox(tmp_path), Outbox(tmp_path)

    with first.claim() as is_first, second.claim() as is_second:
        assert (is_first, is_second) == (True, False)
    with second.claim() as is_second:
        assert is_second


def test_a_disabled_target_stays_so_until_its_address_changes(tmp_path):
    """A target that is gone is remembered over restarts."""
    Outbox(tmp_path).disable("ops", "https://a.example/")

    outbox = Outbox(tmp_path)
    assert outbox.is_disabled("ops", "https://a.example/")
    assert not outbox.is_disabled("ops", "https://b.example/")
    assert not outbox.is_disabled("other", "https://a.example/")
