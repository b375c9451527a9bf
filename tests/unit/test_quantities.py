import pytest
from hypothesis import given, strategies as st

from halo_daemon.quantities import (
    Endpoint,
    format_duration,
    format_size,
    parse_duration_s,
    parse_endpoint,
    parse_size_bytes,
)


@pytest.mark.parametrize(
    ("text", "size_bytes"), [("0B", 0), ("1KiB", 1024), ("64MiB", 64 * 2**20), ("3GiB", 3 * 2**30)]
)
def test_a_size_is_read_in_bytes(text, size_bytes):
    """A size is whole digits and a binary unit."""
    assert parse_size_bytes(text) == size_bytes


@pytest.mark.parametrize(
    "text",
    ["64", "MiB", "64MB", "64 MiB", "-1B", "1.5GiB", "64mib", "", "٣MiB", 64, None, "9" * 5000],
)
def test_other_texts_are_not_sizes(text):
    """What is not whole digits and a known unit is refused with an example."""
    with pytest.raises(ValueError, match="is not a size – write for example 64MiB"):
        parse_size_bytes(text)


@pytest.mark.parametrize("text", ["5", "m", "5 m", "1h30m", "1M", "", True])
def test_other_texts_are_not_durations(text):
    """A duration is one number and one unit."""
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration_s(text)


@given(st.integers(0, 2**50))
def test_a_size_survives_writing_and_reading(size_bytes):
    """Writing a size loses nothing."""
    assert parse_size_bytes(format_size(size_bytes)) == size_bytes


@given(st.integers(0, 10**12))
def test_a_duration_survives_writing_and_reading(duration_ms):
    """Writing a duration keeps every millisecond."""
    assert parse_duration_s(format_duration(duration_ms / 1000)) == duration_ms / 1000


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (0.25, "250ms"), (120, "2m"), (86_400, "24h"), (691_200, "8d")]
)
def test_a_duration_is_written_as_people_do(seconds, text):
    """The largest unit that is exact is taken, hours up to two days."""
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("127.0.0.1:4317", Endpoint("127.0.0.1", 4317)),
        ("[::1]:0", Endpoint("::1", 0)),
        ("localhost:65535", Endpoint("localhost", 65535)),
    ],
)
def test_an_endpoint_survives_reading_and_writing(text, endpoint):
    """A host and a port are read, and written as they were."""
    assert parse_endpoint(text) == endpoint
    assert str(endpoint) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4317",
        ":4317",
        "host",
        "host:",
        "host:65536",
        "::1:4317",
        "a b:1",
        "http://a:1",
        "[a]:1",
        1,
    ],
)
def test_other_texts_are_not_endpoints(text):
    """Neither a URL, nor a bare IPv6 address, nor a missing part is an address to bind."""
    with pytest.raises(ValueError, match="is not an address"):
        parse_endpoint(text)
