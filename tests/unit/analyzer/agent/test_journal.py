import errno
import json

import pytest

from halo_daemon.analyzer.agent.errors import EngineError, JournalMismatchError
from halo_daemon.analyzer.agent.journal import Journal, read_journal
from halo_daemon.testing.scripted_chat import ScriptedChatModel, call
from tests.unit.analyzer.agent.agents import Bench

FINISH = call("final_answer", answer="Done.")
TWO_TURNS = [call("look", topic="a"), call("look", topic="b"), FINISH]


async def test_a_run_resumes_after_any_cut(tmp_path):
    """Cut at every byte of the last lines, the run goes on and pays no answer twice (J-01, J-03)."""
    path = tmp_path / "j.jsonl"
    await Bench(ScriptedChatModel(TWO_TURNS), journal_path=path).run()
    whole = path.read_bytes()

    for cut in range(len(whole) - 400, len(whole), 23):
        path.write_bytes(whole[:cut])
        answered = whole[: whole.rfind(b"\n", 0, cut) + 1].count(b'"type":"response"')
        model = ScriptedChatModel(TWO_TURNS[answered:])
        outcome = await Bench(model, journal_path=path).run()

        assert (outcome.status, outcome.answer) == ("complete", "Done.")
        assert len(model.seen) == 3 - answered


async def test_a_replay_notices_another_prompt(tmp_path):
    """A replay fails on the first request that was not recorded, and says which (J-05)."""
    path = tmp_path / "j.jsonl"
    await Bench(ScriptedChatModel(TWO_TURNS), journal_path=path).run("look")

    with pytest.raises(JournalMismatchError, match="turn 1 of root-1"):
        await Bench(ScriptedChatModel([]), journal_path=path, is_replay=True).run("look closer")


async def test_a_replay_writes_nothing(tmp_path):
    """Reading a journal again leaves it as it was."""
    path = tmp_path / "j.jsonl"
    await Bench(ScriptedChatModel(TWO_TURNS), journal_path=path).run()
    before = path.read_bytes()

    outcome = await Bench(ScriptedChatModel([]), journal_path=path, is_replay=True).run()

    assert (outcome.answer, path.read_bytes()) == ("Done.", before)


async def test_long_answers_stand_beside_the_journal(tmp_path):
    """An answer over 64 KiB has a file of its own and is read back (J-01)."""
    path = tmp_path / "j.jsonl"
    bench = Bench(ScriptedChatModel(TWO_TURNS), journal_path=path, answer="é" * 50_000)
    await bench.run()

    [part] = (tmp_path / "j.jsonl.parts").iterdir()
    with Journal(path) as again:
        kept = again.recorded

    assert len(path.read_bytes()) < 20_000
    assert kept.tool_answers["root-1", "c0"] == part.read_text("utf-8")


class _FullDisk:
    """A file that takes some bytes and then no more."""

    def __init__(self, file, room_bytes):
        self.file, self.room_bytes = file, room_bytes

    def write(self, data):
        self.room_bytes -= len(data)
        if self.room_bytes < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)


@pytest.mark.parametrize("room_bytes", range(0, 3_000, 300))
async def test_a_full_disk_ends_a_run_as_partial(tmp_path, room_bytes):
    """Wherever the disk fills, the run ends with a reason, not with a crash (J-03)."""
    bench = Bench(ScriptedChatModel(TWO_TURNS), journal_path=tmp_path / "j.jsonl")
    agent = bench.build()
    file = bench.journal._file
    bench.journal._file = _FullDisk(file, room_bytes)  # type: ignore[assignment]

    outcome = await agent.run([])
    file.close()

    assert outcome.reason in {"", "journal"}
    assert outcome.status == ("partial" if outcome.reason else "complete")


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        (lambda raw: raw + b'{"type": "resp', 3),
        (lambda raw: raw + b"\0" * 100, 3),
        (lambda raw: raw + b"not json\n" + raw, 3),
        (lambda _: b"", 0),
        (lambda raw: raw[:-1], 2),
        (lambda raw: raw + b'{"type": "response"}\n', 3),
    ],
)
def test_opening_keeps_exactly_the_whole_records(tmp_path, damage, kept):
    """Whatever a crash leaves, the journal opens and what follows the damage is written anew."""
    path = tmp_path / "j.jsonl"
    with Journal(path) as journal:
        journal.start({"run_id": "x"})
        journal.write("budget", n=1)
        journal.write("budget", n=2)
    path.write_bytes(damage(path.read_bytes()))

    Journal(path).close()

    assert len([*read_journal(path)]) == kept
    assert path.read_bytes().endswith(b"\n") or not kept


def test_what_a_run_is_about_must_agree(tmp_path):
    """A journal is resumed only for what it was written for; the difference is named (J-04)."""
    path = tmp_path / "j.jsonl"
    with Journal(path) as journal:
        journal.start({"model": "a", "task": "x"})

    with Journal(path) as journal, pytest.raises(JournalMismatchError, match=r"written: model$"):
        journal.start({"model": "b", "task": "x"})


def test_a_missing_journal_is_told(tmp_path):
    """Reading what is not there is an error that says so."""
    with pytest.raises(EngineError, match="no such file"):
        [*read_journal(tmp_path / "none")]


def test_records_are_one_object_a_line(tmp_path):
    """Type and elapsed time stand in every record."""
    path = tmp_path / "j.jsonl"
    with Journal(path, elapsed_s=lambda: 1.23456) as journal:
        journal.write("budget", n=1)

    assert json.loads(path.read_text()) == {"type": "budget", "elapsed_s": 1.235, "n": 1}
