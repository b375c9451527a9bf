import os
from itertools import accumulate

import pytest
from hypothesis import given, settings, strategies as st

from halo_daemon.store.seekable import DamagedShardError, SeekableReader, compress_blocks

FRAME = 1024**2


@pytest.fixture
def packed(tmp_path):
    """A compressed file and its plain bytes, of several frames."""
    plain = (os.urandom(999) + b"\n") * 2_500
    path = tmp_path / "shard.zst"
    path.write_bytes(b"".join(compress_blocks(iter([plain[:FRAME], plain[FRAME:]]))))
    return path, plain


def test_any_range_reads_as_in_the_plain_file(packed):
    """Ranges inside, across and past the frames give the plain bytes."""
    path, plain = packed
    with SeekableReader(path) as reader:
        for offset, size in ((0, 1), (FRAME - 1, 2), (5, 2 * FRAME), (len(plain) - 3, 99)):
            assert reader.read(offset, size) == plain[offset : offset + size]
        assert reader.read(len(plain) + 5, 10) == b""
        assert reader.size_bytes == len(plain)


def test_an_empty_shard_has_a_compressed_form(tmp_path):
    """No bytes, no frames, no error."""
    path = tmp_path / "empty.zst"
    path.write_bytes(b"".join(compress_blocks(iter([]))))

    with SeekableReader(path) as reader:
        assert (reader.size_bytes, reader.read(0, 10)) == (0, b"")


def test_a_cut_file_gives_the_frames_that_are_whole(packed):
    """Wherever a file is cut, its whole frames read as before and the loss is told."""
    path, plain = packed
    data = path.read_bytes()
    with SeekableReader(path) as reader:
        ends = list(accumulate(map(len, list(reader.mended())[:-1])))
    first, table = ends[0], ends[-1]
    for length in {*range(first, len(data), 997), *range(table - 30, len(data)), *ends}:
        path.write_bytes(data[:length])
        good = min(len(plain), sum(end <= length for end in ends) * FRAME)
        with SeekableReader(path) as reader:
            assert reader.table_damage
            assert reader.read(0, good) == plain[:good]
            assert not reader.read_past_damage(good, 2 * FRAME).strip(b"\0\n")
    path.write_bytes(data[: first - 1])
    with pytest.raises(DamagedShardError):
        SeekableReader(path)


def test_any_flipped_byte_of_the_table_costs_nothing(packed):
    """The plain bytes are the same with any byte of the table or its footer changed."""
    path, plain = packed
    data = path.read_bytes()
    with SeekableReader(path) as reader:
        table_bytes = len(list(reader.mended())[-1])
    for place in range(len(data) - table_bytes + 8, len(data)):
        changed = bytearray(data)
        changed[place] ^= 0x11
        path.write_bytes(changed)
        with SeekableReader(path) as reader:
            assert reader.read(0, len(plain)) == plain


def test_a_table_written_anew_is_the_table_that_was_lost(packed):
    """Mending a file whose frames are whole gives it back byte for byte."""
    path, _ = packed
    data = path.read_bytes()
    path.write_bytes(data[:-10])

    with SeekableReader(path) as reader:
        assert b"".join(reader.mended()) == data


@pytest.mark.parametrize("descriptor", [0x00, 0x20, 0x60, 0xA4, 0xFF])
def test_a_damaged_frame_without_a_table_costs_itself_alone(packed, descriptor):
    """Frames on both sides of noise are found at their offsets, whatever header it has."""
    path, plain = packed
    with SeekableReader(path) as reader:
        first, second, *_ = map(len, reader.mended())
    data = bytearray(path.read_bytes()[:-10])
    data[first : first + second] = bytes([0x28, 0xB5, 0x2F, 0xFD, descriptor, 9]) + os.urandom(
        second - 6
    )
    path.write_bytes(data)

    with SeekableReader(path) as reader:
        assert reader.read(0, FRAME) == plain[:FRAME]
        assert reader.read(2 * FRAME, FRAME) == plain[2 * FRAME :]
        with pytest.raises(DamagedShardError):
            reader.read(FRAME, 1)


def test_the_search_for_frames_gives_up(tmp_path):
    """However often damage looks like a frame, what stands for it is bounded."""
    line = b"{}\n"
    frame = next(compress_blocks(iter([line])))
    false_start = b"\x28\xb5\x2f\xfd\x60\0\1" + b"\xff" * 9
    path = tmp_path / "shard.zst"
    path.write_bytes(frame + false_start + frame + (false_start + frame) * 5_000)

    with SeekableReader(path) as reader:
        assert reader.read(0, len(line)) == line
        assert reader.size_bytes <= 1024 * (FRAME + len(line)) + len(line) + FRAME


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_never_a_shard(tmp_path_factory, data):
    """Whatever bytes a file holds, opening it succeeds or says that it is damaged."""
    path = tmp_path_factory.mktemp("noise") / "x"
    path.write_bytes(data)

    with pytest.raises(DamagedShardError):
        SeekableReader(path)


def test_an_altered_frame_is_told_when_read(packed):
    """Flipped bits inside a frame never come back as other bytes of the same length."""
    path, plain = packed
    data = bytearray(path.read_bytes())
    data[2] ^= 0xFF
    path.write_bytes(data)

    with SeekableReader(path) as reader, pytest.raises(DamagedShardError):
        reader.read(0, len(plain))
