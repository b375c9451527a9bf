"""Starting on whatever a crash can leave."""

import pytest

from halo_daemon.store.paths import DataPaths
from halo_daemon.store.recovery import recover
from halo_daemon.testing.spans import make_line

LINE = make_line()
DAY = "2026-08-29"
STEM = "101500Z-w0-000001"


@pytest.mark.parametrize(
    ("on_disk", "kept"),
    [
        pytest.param(b"", b"", id="empty"),
        pytest.param(LINE, LINE, id="whole"),
        pytest.param(LINE + LINE[:-1], LINE, id="torn-before-newline"),
        pytest.param(LINE[:3], b"", id="torn-first-line"),
        pytest.param(LINE + b"x" * 200_000, LINE, id="torn-line-spans-blocks"),
        pytest.param(LINE + b"\0" * 70_000, LINE, id="zero-fill"),
        pytest.param(LINE + b"\0" * 10 + b"\n", LINE, id="zero-fill-with-newline"),
        pytest.param(LINE + b'{"a":\n{"b":\n', LINE, id="several-lines-that-do-not-parse"),
        pytest.param(b"bad\n" + LINE + b"{", b"bad\n" + LINE, id="bad-line-before-a-good-one"),
        pytest.param(b"\n", b"", id="only-a-newline"),
        pytest.param(LINE + b"\n\n", LINE, id="blank-lines"),
        pytest.param(LINE + b"[1]\n", LINE, id="not-an-object"),
        pytest.param(b"\xef\xbb\xbf" + LINE, b"", id="byte-order-mark-on-the-only-line"),
    ],
)
def test_start_cuts_a_torn_tail(tmp_path, on_disk, kept):
    """Starting keeps everything up to the last good line, and the rest in quarantine."""
    day = DataPaths(tmp_path).project("default").day(DAY)
    day.directory.mkdir(parents=True)
    day.plain(STEM).write_bytes(on_disk)

    tails = recover(DataPaths(tmp_path))

    assert day.plain(STEM).read_bytes() == kept
    quarantined = b"".join(tail.quarantined.read_bytes() for tail in tails)
    assert kept + quarantined == on_disk
    assert recover(DataPaths(tmp_path)) == []


@pytest.mark.parametrize("cut", range(1, len(LINE), 37))
def test_every_truncation_of_the_last_line_is_mended(tmp_path, cut):
    """However much of the last line is missing, the lines before it stay."""
    day = DataPaths(tmp_path).project("default").day(DAY)
    day.directory.mkdir(parents=True)
    day.plain(STEM).write_bytes(LINE + LINE[:-cut])

    (tail,) = recover(DataPaths(tmp_path))

    assert (tail.offset, tail.cut_bytes) == (len(LINE), len(LINE) - cut)
    assert day.plain(STEM).read_bytes() == LINE


def test_leftovers_of_a_crash_are_removed(tmp_path):
    """Temporary files of an interrupted step go; files that are not ours stay."""
    day = DataPaths(tmp_path).project("default").day(DAY)
    day.directory.mkdir(parents=True)
    leftover = day.directory / ".tmp-1-x"
    leftover.write_bytes(b"half")
    foreign = day.directory / "notes.txt"
    foreign.write_bytes(b"mine")

    recover(DataPaths(tmp_path))

    assert not leftover.exists()
    assert foreign.read_bytes() == b"mine"


def test_a_shard_that_cannot_be_mended_does_not_stop_the_start(tmp_path):
    """A directory in place of a shard is left alone and the next shard is mended."""
    day = DataPaths(tmp_path).project("default").day(DAY)
    day.plain("000000Z-w0-000001").mkdir(parents=True)
    day.plain(STEM).write_bytes(LINE + b"{")

    tails = recover(DataPaths(tmp_path))

    assert [tail.shard.name for tail in tails] == [f"{STEM}.jsonl"]
