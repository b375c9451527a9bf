"""Trace files as they are found in the field."""

import gzip
import time

import orjson
import pytest

from halo_daemon.errors import ConfigError, QueryError
from halo_daemon.store.filters import TraceFilter
from halo_daemon.store.patterns import compile_pattern
from halo_daemon.store.query import TraceQuery
from halo_daemon.store.trace_files import EVERYTHING, open_trace_files
from halo_daemon.testing.spans import make_line

LINE = make_line()
FIELDS = orjson.loads(LINE)


def without(key: str) -> bytes:
    """The line without one of its fields."""
    return orjson.dumps({name: value for name, value in FIELDS.items() if name != key}) + b"\n"


def with_fields(**fields) -> bytes:
    """The line with other values."""
    return orjson.dumps({**FIELDS, **fields}) + b"\n"


@pytest.mark.parametrize(
    ("data", "spans", "bad"),
    [
        pytest.param(b"", 0, 0, id="empty"),
        pytest.param(b"\xef\xbb\xbf" + LINE, 1, 0, id="byte-order-mark"),
        pytest.param(LINE[:-1] + b"\r\n\r\n", 1, 0, id="crlf"),
        pytest.param(LINE[:-1], 1, 0, id="no-newline-at-the-end"),
        pytest.param(LINE + LINE[:50], 1, 1, id="half-line"),
        pytest.param(b"\0\0" + LINE, 0, 1, id="zeros"),
        pytest.param(LINE + LINE, 1, 0, id="delivered-twice"),
        pytest.param(without("scope"), 1, 0, id="no-scope"),
        pytest.param(without("trace_id"), 0, 1, id="no-trace-id"),
        pytest.param(with_fields(status={"code": "x", "message": None}), 1, 0, id="null-message"),
        pytest.param(with_fields(trace_id="t-00001", span_id="S 1"), 1, 0, id="other-ids"),
        pytest.param(with_fields(start_time="2026-08-29T12:40:00+02:00"), 1, 0, id="time-zone"),
        pytest.param(with_fields(start_time="0001-01-01T00:00:00Z"), 1, 0, id="before-1970"),
        pytest.param(with_fields(start_time="9999-12-31T23:59:59Z"), 1, 0, id="far-future"),
        pytest.param(with_fields(start_time="yesterday"), 0, 1, id="no-time"),
        pytest.param(LINE.replace(b'"attributes":{', b'"attributes":{"x":NaN,', 1), 1, 0, id="nan"),
        pytest.param(LINE.replace(b'"name":"', b'"name":"\\ud800', 1), 1, 0, id="half-a-pair"),
        pytest.param(LINE.replace(b'"name":"', b'"name":"\xff', 1), 1, 0, id="not-utf8"),
        pytest.param(gzip.compress(LINE), 1, 0, id="gzip"),
        pytest.param(gzip.compress(LINE * 50)[:-12], 1, 1, id="gzip-cut"),
    ],
)
def test_files_are_read_as_far_as_they_make_sense(tmp_path, data, spans, bad):
    """One bad line, or a cut file, costs itself alone; everything else is a span."""
    path = tmp_path / "traces"
    path.write_bytes(data)

    with open_trace_files([path], now_monotonic_s=time.monotonic) as files:
        overview = files.reader.overview(EVERYTHING)
        page = files.queries.query_traces(EVERYTHING, TraceQuery(with_names=True))
        loaded = list(files.reader.iter_traces(EVERYTHING))

    assert (overview.spans, overview.quarantined_lines) == (spans, bad)
    assert sum(trace.spans for trace in page.traces) == spans
    assert sum(len(trace.spans) for trace in loaded) == spans


def test_ids_that_are_not_hex_are_found_as_they_are_written(tmp_path):
    """Any text can be an id, whatever its length; lists, filters and loads agree on it."""
    ids = ["t-1", "x" * 8, "y" * 16, "Z" * 32, "café", "F" * 32]
    path = tmp_path / "traces"
    path.write_bytes(b"".join(with_fields(trace_id=one, span_id=one) for one in ids))

    with open_trace_files([path], now_monotonic_s=time.monotonic) as files:
        listed = [trace.trace_id for trace in files.reader.list_traces(EVERYTHING)]
        for one in ids:
            only = TraceQuery(filter=TraceFilter(trace_ids=(one,)))
            assert files.queries.query_traces(EVERYTHING, only).total == 1
            loaded = files.reader.load_trace(one)
            assert loaded is not None
            assert [span.span_id for span in loaded.spans] == [one]

    assert sorted(listed) == sorted(ids)


def test_a_trace_over_files_is_one(tmp_path):
    """Spans of one trace in several files are merged."""
    for number in (1, 2):
        (tmp_path / str(number)).write_bytes(with_fields(span_id=f"000000000000000{number}"))

    paths = [tmp_path / "1", tmp_path / "2"]
    with open_trace_files(paths, now_monotonic_s=time.monotonic) as files:
        overview = files.reader.overview(EVERYTHING)

    assert (overview.traces, overview.spans) == (1, 2)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    """A wrong path is told before anything else happens."""
    with (
        pytest.raises(ConfigError, match="cannot read"),
        open_trace_files([tmp_path / "none"], now_monotonic_s=time.monotonic),
    ):
        pass


def test_files_over_the_bound_are_refused(tmp_path):
    """However small the packed file, its lines count; the error names the setting and the file."""
    packed, small = tmp_path / "packed", tmp_path / "small"
    packed.write_bytes(gzip.compress(LINE * 5_000))
    small.write_bytes(LINE)
    assert packed.stat().st_size < 100 * len(LINE)

    with (
        pytest.raises(ConfigError, match=r"analysis\.max_files.*packed") as caught,
        open_trace_files(
            [small, packed], now_monotonic_s=time.monotonic, max_bytes=100 * len(LINE)
        ),
    ):
        pass

    assert "TMPDIR" in caught.value.hint


def test_files_of_just_the_bound_are_read(tmp_path):
    """The bound itself is still within it."""
    path = tmp_path / "traces"
    path.write_bytes(LINE * 3)

    with open_trace_files([path], now_monotonic_s=time.monotonic, max_bytes=3 * len(LINE)) as files:
        assert files.reader.overview(EVERYTHING).duplicate_spans == 2


def test_half_a_character_pair_is_no_pattern():
    """What no text can contain is refused as a pattern, not met as a crash."""
    with pytest.raises(QueryError, match="half of a character pair"):
        compile_pattern("\ud800")
