import os

import pytest
from hypothesis import given, settings, strategies as st

from halo_daemon.store.seekable import DamagedShardError, SeekableReader, compress_blocks

FRAME = 1024**2


@pytest.fixture
def packed(tmp_path):
    """A compressed file and its plain bytes, of several frames."""
    plain = os.urandom(1000) * 2_500
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


@pytest.mark.parametrize("cut", [1, 5, 9, 20, 1000])
def test_a_cut_file_is_told_at_once(packed, cut):
    """A file that lost its end is not taken for a shorter shard."""
    path, _ = packed
    path.write_bytes(path.read_bytes()[:-cut])

    with pytest.raises(DamagedShardError):
        SeekableReader(path)


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
