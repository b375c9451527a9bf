import gzip
import tracemalloc
import zlib
from contextlib import suppress

import pytest
from backports import zstd
from hypothesis import given, settings, strategies as st

from halo_daemon.errors import DecodeError, IngestError, LimitError, UnsupportedMediaError
from halo_daemon.receiver.body import decompress, require_encoding

BODY = b"spans " * 1000


def _raw_deflate(body):
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


COMPRESSED = [
    pytest.param("", BODY, id="identity"),
    pytest.param("gzip", gzip.compress(BODY), id="gzip"),
    pytest.param("gzip", gzip.compress(BODY[:9]) + gzip.compress(BODY[9:]), id="gzip-members"),
    pytest.param("deflate", zlib.compress(BODY), id="deflate-wrapped"),
    pytest.param("deflate", _raw_deflate(BODY), id="deflate-raw"),
    pytest.param("zstd", zstd.compress(BODY), id="zstd"),
    pytest.param("zstd", zstd.compress(BODY[:9]) + zstd.compress(BODY[9:]), id="zstd-frames"),
]


@pytest.mark.parametrize(("encoding", "body"), COMPRESSED)
def test_every_codec_gives_the_body_back_at_exactly_the_limit(encoding, body):
    """The limit is inclusive, for one member and for several."""
    assert decompress(body, encoding, max_bytes=len(BODY)) == BODY


@pytest.mark.parametrize(("encoding", "body"), COMPRESSED[1:])
def test_one_byte_over_the_limit_is_refused(encoding, body):
    """What expands beyond the limit is refused, and the setting is named."""
    with pytest.raises(LimitError, match="max_decompressed"):
        decompress(body, encoding, max_bytes=len(BODY) - 1)


@pytest.mark.parametrize(("encoding", "body"), COMPRESSED[1:])
def test_a_stream_cut_anywhere_is_never_taken_for_the_whole(encoding, body):
    """A prefix is a decode error, unless it ends with a whole member."""
    for length in range(len(body)):
        try:
            part = decompress(body[:length], encoding, max_bytes=len(BODY))
        except DecodeError:
            continue
        assert part == BODY[:9]


@pytest.mark.parametrize("size_bytes", [2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20])
@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", _raw_deflate),
        ("zstd", zstd.compress),
    ],
)
def test_a_body_of_many_parts_is_given_back_alone_and_before_another(
    encoding, compress, size_bytes
):
    """However the parts in which it is taken divide it, nothing is lost or read twice."""
    body = bytes(size_bytes)
    following = b"x" * 9 if encoding != "deflate" else b""
    whole = compress(body) + (compress(following) if following else b"")

    assert decompress(whole, encoding, max_bytes=size_bytes + 9) == body + following
    for cut in (1, 9, len(whole) - len(compress(body)) + 1):
        with suppress(DecodeError):
            assert decompress(whole[:-cut], encoding, max_bytes=size_bytes + 9) == body


def test_a_bomb_is_in_memory_once():
    """Until it is refused, a body that expands without end takes its limit and little more."""
    limit_bytes = 16 * 2**20
    for encoding, body in (
        ("gzip", gzip.compress(bytes(2**26))),
        ("zstd", zstd.compress(bytes(2**26))),
    ):
        tracemalloc.start()
        with pytest.raises(LimitError):
            decompress(body, encoding, max_bytes=limit_bytes)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak_bytes < 1.5 * limit_bytes


def test_a_large_body_is_read_over_many_chunks():
    """A body that does not compress spans many chunks of the reader."""
    body = bytes(range(256)) * 4000

    assert decompress(gzip.compress(body, 0), "gzip", max_bytes=len(body)) == body


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_no_bytes_are_no_stream(encoding):
    """An empty body with a content encoding is broken."""
    with pytest.raises(DecodeError):
        decompress(b"", encoding, max_bytes=10)


def test_very_many_empty_members_are_refused():
    """Members that hold nothing cannot keep the reader busy without end."""
    with pytest.raises(DecodeError, match="members"):
        decompress(gzip.compress(b"") * 10_001, "gzip", max_bytes=10)


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate", "zstd"]))
@settings(deadline=None)
def test_any_bytes_become_a_body_or_an_ingest_error(body, encoding):
    """Whatever a client sends as compressed, nothing else is raised."""
    with suppress(IngestError):
        assert len(decompress(body, encoding, max_bytes=100)) <= 100


@pytest.mark.parametrize(
    ("sent", "encoding"),
    [("", ""), ("identity", ""), ("GZIP", "gzip"), (" zstd ", "zstd"), ("x-gzip", "x-gzip")],
)
def test_encodings_are_compared_without_case(sent, encoding):
    """The header's letter case and outer spaces do not matter."""
    assert require_encoding(sent) == encoding


@pytest.mark.parametrize("sent", ["br", "gzip, gzip", "foo", "gzip;q=1"])
def test_other_encodings_are_unsupported(sent):
    """An encoding that is not spoken here, or two at once, is refused."""
    with pytest.raises(UnsupportedMediaError):
        require_encoding(sent)
