import pytest
from hypothesis import given, strategies as st

from halo_daemon.proto.times import format_unix_ns, parse_unix_ns

UINT64 = st.integers(min_value=0, max_value=2**64 - 1)


@pytest.mark.parametrize(
    ("unix_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (1_544_712_660_000_000_000, "2018-12-13T14:51:00.000000000Z"),
        (2**63, "2262-04-11T23:47:16.854775808Z"),
        (2**64 - 1, "2554-07-21T23:34:33.709551615Z"),
    ],
)
def test_known_times(unix_ns, text):
    """Times are written with nine digits over the whole range of uint64."""
    assert format_unix_ns(unix_ns) == text
    assert parse_unix_ns(text) == unix_ns


@given(UINT64, UINT64)
def test_text_order_is_time_order(first, second):
    """Comparing the texts compares the times."""
    assert (format_unix_ns(first) < format_unix_ns(second)) == (first < second)


@given(UINT64)
def test_reading_gives_back_what_was_written(unix_ns):
    """No digit is lost on the way to text and back."""
    assert parse_unix_ns(format_unix_ns(unix_ns)) == unix_ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2018-12-13T14:51:00Z",
        "2018-12-13T14:51:00.000000000+",
        "2018-12-13T14:51:60.000000000Z",
        "2018-12-13T24:51:00.000000000Z",
        "2018-02-30T14:51:00.000000000Z",
        "x" * 30,
    ],
)
def test_other_forms_are_refused(text):
    """Only the canonical form is read."""
    with pytest.raises(ValueError):
        parse_unix_ns(text)
