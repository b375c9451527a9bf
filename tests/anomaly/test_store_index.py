"""Derived files can be deleted, damaged or outdated at any time; answers do not change."""

import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from halo_daemon.errors import StoreError
from halo_daemon.store.catalog import NewTrace
from halo_daemon.store.day_index import DayIndex
from halo_daemon.store.paths import DataPaths, DayPaths
from halo_daemon.store.project_index import ProjectIndex
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.trace_reader import Window, trace_parts
from halo_daemon.testing.spans import START_UNIX_NS, make_line, span_id_of, trace_id_of

EVERYTHING = Window(0, 2**63)
DAY = "2026-08-29"
SPANS = 30
_SOON_S = 20.0
"""Far below the minute for which SQLite waits for a lock."""


@pytest.fixture
def day(tmp_path) -> DayPaths:
    """One day with three shards."""
    day = DataPaths(tmp_path).project("default").day(DAY)
    day.directory.mkdir(parents=True)
    for shard in range(3):
        lines = [
            make_line(trace_id=trace_id_of(number // 4 + 1), span_id=span_id_of(number + 1))
            for number in range(shard * 10, shard * 10 + 10)
        ]
        day.plain(f"10000{shard}Z-w0-000001").write_bytes(b"".join(lines))
    return day


@pytest.fixture
def reader(tmp_path, day) -> Iterator[LocalTraceReader]:
    """A reader that has indexed the day."""
    reader = LocalTraceReader(tmp_path, "default", settle_s=60.0, now_unix_ns=lambda: START_UNIX_NS)
    assert reader.overview(EVERYTHING).spans == SPANS
    yield reader
    reader.close()


def index_files(day: DayPaths) -> list[Path]:
    """The files of the day's index and of the catalog."""
    return [*day.directory.glob("index.sqlite*"), *day.directory.parent.parent.glob("cat*")]


def delete(day: DayPaths) -> None:
    """Remove every derived file."""
    for path in index_files(day):
        path.unlink()


def delete_index_only(day: DayPaths) -> None:
    """Remove the index but not its log."""
    day.index.unlink()


def delete_catalog(day: DayPaths) -> None:
    """Remove the catalog."""
    for path in day.directory.parent.parent.glob("catalog*"):
        path.unlink()


def garbage(day: DayPaths) -> None:
    """Replace every derived file by noise."""
    for path in index_files(day):
        path.write_bytes(b"not a database " * 1000)


def zeros(day: DayPaths) -> None:
    """Overwrite the middle of the derived files."""
    for path in index_files(day):
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.seek(size // 3)
            file.write(b"\0" * (size // 3))


def empty(day: DayPaths) -> None:
    """Leave empty files."""
    for path in index_files(day):
        path.write_bytes(b"")


def cut(day: DayPaths) -> None:
    """Leave half of each file."""
    for path in index_files(day):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def other_schema(day: DayPaths) -> None:
    """Pretend that another version wrote the files."""
    for path in (day.index, day.directory.parent.parent / "catalog.sqlite"):
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 999")
        connection.close()


DAMAGES = [delete, delete_index_only, delete_catalog, garbage, zeros, empty, cut, other_schema]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_new_reader_mends_a_damaged_index(
    tmp_path, day, reader, damage: Callable[[DayPaths], None]
):
    """Whatever happened to the derived files, the next process answers from the shards."""
    reader.close()
    damage(day)
    fresh = LocalTraceReader(tmp_path, "default", settle_s=60.0, now_unix_ns=lambda: START_UNIX_NS)

    try:
        assert fresh.overview(EVERYTHING).spans == SPANS
        assert sum(len(trace.spans) for trace in fresh.iter_traces(EVERYTHING)) == SPANS
    finally:
        fresh.close()


def orders_of(index: Path) -> set[str]:
    """The orders of spans that an index keeps."""
    connection = sqlite3.connect(index)
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'").fetchall()
    connection.close()
    return {name for (name,) in rows} & {"span_shapes", "span_durations"}


def test_an_index_whose_build_was_cut_short_gets_its_orders(tmp_path, day, reader):
    """Spans are put in order by the next process, where the one that read them ended before."""
    reader.close()
    with sqlite3.connect(day.index) as connection:
        connection.execute("DROP INDEX span_shapes")
        connection.execute("DROP INDEX span_durations")
    connection.close()
    fresh = LocalTraceReader(tmp_path, "default", settle_s=60.0, now_unix_ns=lambda: START_UNIX_NS)

    fresh.overview(EVERYTHING)
    fresh.close()

    assert orders_of(day.index) == {"span_shapes", "span_durations"}


def test_a_large_build_puts_spans_in_order_on_the_way(day):
    """No more spans are sorted at once than memory has a bound for."""
    index = DayIndex(day)
    goal = index.reach()
    assert index.index_block(goal, lambda _: None)
    before = orders_of(day.index)
    index.connection.execute("UPDATE spans SET id = id + 500000")

    assert index.index_block(goal, lambda _: None)

    index.close()
    assert before == set()
    assert orders_of(day.index) == {"span_shapes", "span_durations"}


@pytest.mark.parametrize("damage", [delete, delete_index_only, delete_catalog])
def test_files_deleted_under_an_open_reader_are_built_again(
    day, reader, damage: Callable[[DayPaths], None]
):
    """A reader that has the files open notices that they are gone, and sees new spans."""
    damage(day)
    day.plain("110000Z-w0-000001").write_bytes(make_line(span_id=span_id_of(999)))

    assert reader.overview(EVERYTHING).spans == SPANS + 1


def emptied(path: Path) -> None:
    """Cut a file to nothing where it is."""
    with path.open("r+b") as file:
        file.truncate(0)


@pytest.mark.parametrize("name", ["catalog", "index"])
def test_a_file_emptied_under_an_open_reader_holds_up_no_other(tmp_path, day, reader, name):
    """Another process waits for nobody, and builds the file again."""
    emptied(day.index if name == "index" else day.directory.parent.parent / "catalog.sqlite")
    other = LocalTraceReader(tmp_path, "default", settle_s=60.0, now_unix_ns=lambda: START_UNIX_NS)

    started_s = time.monotonic()
    try:
        assert other.overview(EVERYTHING).spans == SPANS
    finally:
        other.close()
    assert time.monotonic() - started_s < _SOON_S
    assert reader.overview(EVERYTHING).spans == SPANS


@pytest.mark.parametrize("name", ["catalog", "index"])
def test_a_log_cut_short_under_an_open_reader_is_mended(tmp_path, day, reader, name):
    """Whoever misses the end of a log that is in use builds its file again."""
    file = day.index if name == "index" else day.directory.parent.parent / "catalog.sqlite"
    log = file.with_name(f"{file.name}-wal")
    os.truncate(log, log.stat().st_size // 2)
    day.plain("110000Z-w0-000001").write_bytes(make_line(span_id=span_id_of(999)))
    other = LocalTraceReader(tmp_path, "default", settle_s=60.0, now_unix_ns=lambda: START_UNIX_NS)

    try:
        assert other.overview(EVERYTHING).spans == SPANS + 1
        assert reader.overview(EVERYTHING).spans == SPANS + 1
    finally:
        other.close()


def test_a_shard_deleted_under_us_is_gone_from_the_answers(day, reader):
    """Reading goes on without the shard, and what it held is no longer counted."""
    day.plain("100001Z-w0-000001").unlink()

    assert reader.overview(EVERYTHING).spans == SPANS - 10
    assert sum(len(trace.spans) for trace in reader.iter_traces(EVERYTHING)) == SPANS - 10


def test_a_shard_cut_short_is_indexed_again(day, reader):
    """A shard that lost its tail counts only what is left."""
    path = day.plain("100002Z-w0-000001")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-3]))

    assert reader.overview(EVERYTHING).spans == SPANS - 3


def test_a_whole_day_deleted_under_us_is_gone(tmp_path, day, reader):
    """Removing a day's directory is no error."""
    for path in day.directory.iterdir():
        path.unlink()
    day.directory.rmdir()

    assert reader.overview(EVERYTHING).spans == 0
    assert reader.load_trace(trace_id_of(1)) is None


def test_a_line_that_went_bad_after_indexing_is_counted(day, reader):
    """A line that no longer parses is left out, and then counted as damaged."""
    path = day.plain("100001Z-w0-000001")
    data = bytearray(path.read_bytes())
    data[5] ^= 0xFF
    path.write_bytes(data)

    spans = sum(len(trace.spans) for trace in reader.iter_traces(EVERYTHING))

    assert spans == SPANS - 1
    assert reader.overview(EVERYTHING).quarantined_lines == 1
    assert reader.overview(EVERYTHING).spans == SPANS - 1


def test_a_half_written_line_is_not_yet_there(day, reader):
    """A line becomes visible with its newline, and no earlier."""
    path = day.plain("120000Z-w0-000001")
    line = make_line(span_id=span_id_of(500))
    path.write_bytes(line[:100])
    before = reader.overview(EVERYTHING)
    path.write_bytes(line)
    after = reader.overview(EVERYTHING)

    assert (before.spans, before.quarantined_lines) == (SPANS, 0)
    assert (after.spans, after.quarantined_lines) == (SPANS + 1, 0)


def with_value(value: bytes) -> bytes:
    """A line with an attribute that the index does not read."""
    return make_line(attributes={"custom": "here"}).replace(b'"here"', value)


@pytest.mark.parametrize(
    ("data", "spans", "bad"),
    [
        pytest.param(b"\xef\xbb\xbf" + make_line(), 1, 0, id="byte-order-mark"),
        pytest.param(make_line()[:-1] + b"\r\n", 1, 0, id="crlf"),
        pytest.param(b"\r\n\n \n" + make_line(), 1, 0, id="blank-lines"),
        pytest.param(b"\0\0\0" + make_line(), 0, 1, id="leading-zeros"),
        pytest.param(make_line(trace_id="F" * 32), 1, 0, id="upper-case-id"),
        pytest.param(make_line(trace_id="f" * 30), 1, 0, id="short-id"),
        pytest.param(make_line(name="\u2028\x00\n"), 1, 0, id="odd-characters"),
        pytest.param(make_line(parent_span_id="not hex"), 1, 0, id="odd-parent"),
        pytest.param(make_line(name="n" * 40_000_000), 1, 0, id="line-larger-than-a-block"),
        pytest.param(make_line(start_unix_ns=2**64 - 2**34), 1, 0, id="after-2262"),
        pytest.param(make_line().replace(b'"scope"', b'"soap"'), 0, 1, id="no-scope"),
        pytest.param(make_line().replace(b'"version"', b'"revision"'), 0, 1, id="half-a-scope"),
        pytest.param(make_line().replace(b'"message"', b'"massage"'), 0, 1, id="no-message"),
        pytest.param(with_value(b'"\xff"'), 0, 1, id="no-utf-8-in-a-value"),
        pytest.param(with_value(b'"\xed\xa0\x80"'), 0, 1, id="half-a-pair-in-a-value"),
        pytest.param(with_value(b'"\\ud800"'), 0, 1, id="escaped-half-a-pair-in-a-value"),
        pytest.param(with_value(b'"\x01"'), 0, 1, id="control-character-in-a-value"),
        pytest.param(with_value(b"01"), 0, 1, id="no-number-in-a-value"),
        pytest.param(with_value(b"[" * 5000 + b"]" * 5000), 0, 1, id="deep-value"),
        pytest.param(with_value(b"9" * 200), 1, 0, id="long-number"),
    ],
)
def test_odd_lines_are_read_or_counted(tmp_path, data, spans, bad):
    """Every line ends up as a span or as a damaged line, and loads if it is a span."""
    day = DataPaths(tmp_path).project("odd").day(DAY)
    day.directory.mkdir(parents=True)
    day.plain("100000Z-w0-000001").write_bytes(data)
    reader = LocalTraceReader(tmp_path, "odd", settle_s=60.0, now_unix_ns=lambda: START_UNIX_NS)

    overview = reader.overview(EVERYTHING)
    loaded = list(reader.iter_traces(EVERYTHING))
    reader.close()

    assert (overview.spans, overview.quarantined_lines) == (spans, bad)
    assert len(loaded) == spans


def test_a_number_too_large_for_a_double_costs_its_span_and_no_second_build(day, reader):
    """The index does not look at such a number; whoever loads the trace leaves the span out."""
    stem = "210000Z-w0-000001"
    day.plain(stem).write_bytes(with_value(b"1e999") + make_line(span_id=span_id_of(700)))
    reader.overview(EVERYTHING)
    inode = day.index.stat().st_ino

    spans = sum(len(trace.spans) for trace in reader.iter_traces(EVERYTHING))

    assert spans == SPANS + 1
    assert day.index.stat().st_ino == inode


@pytest.mark.parametrize("bad", [{3}, {1, 2}, {5, 6}, {1, 2, 3, 4, 5, 6}], ids=str)
def test_a_part_of_a_large_trace_is_read_around_lines_that_went_bad(tmp_path, day, reader, bad):
    """Damage costs the lines it hits, in whichever part they are; the other spans are all there."""
    lines = {
        number: make_line(
            trace_id=trace_id_of(900),
            span_id=span_id_of(number),
            start_unix_ns=START_UNIX_NS + number,
            attributes={"input.value": "x" * 20_000},
        )
        for number in range(1, 7)
    }
    shard = day.plain("210000Z-w0-000001")
    shard.write_bytes(b"".join(lines.values()))
    small = LocalTraceReader(
        tmp_path,
        "default",
        settle_s=60.0,
        now_unix_ns=lambda: START_UNIX_NS,
        max_answer_bytes=50_000,
    )
    assert small.overview(EVERYTHING).spans == SPANS + 6
    shard.write_bytes(
        b"".join(b"#" * (len(x) - 1) + b"\n" if n in bad else x for n, x in lines.items())
    )

    spans = [
        span for part in trace_parts(small.load_trace, trace_id_of(900)) for span in part.spans
    ]
    small.close()

    assert [span.span_id for span in spans] == [span_id_of(n) for n in range(1, 7) if n not in bad]


@pytest.mark.parametrize("cut_bytes", [0, 1, 8, 15, 17])
def test_a_damaged_sidecar_only_costs_precision(tmp_path, day, reader, cut_bytes):
    """Without a readable receipt, the time in the shard's name counts."""
    reader.close()
    delete(day)
    for stem in day.stems():
        day.receipts(stem).write_bytes(b"\xff" * cut_bytes)
    opened = LocalTraceReader(tmp_path, "default", settle_s=60.0, now_unix_ns=lambda: START_UNIX_NS)

    received = {trace.last_received_unix_ns for trace in opened.list_traces(EVERYTHING)}
    opened.close()

    assert len(received) == 3


def test_a_project_without_a_directory_is_an_error_with_a_name(tmp_path, day, reader):
    """Removing the whole project under a reader is told plainly."""
    project = day.directory.parent.parent
    project.rename(tmp_path / "elsewhere")

    with pytest.raises(StoreError, match="`default`"):
        reader.overview(EVERYTHING)


@pytest.mark.parametrize("seed", range(12))
def test_flipped_bits_of_an_index_are_mended_by_the_read_that_meets_them(day, reader, seed):
    """No flip in an index is an error to whoever reads; after one pass everything is there."""
    reader.overview(EVERYTHING)
    reader.close()
    draw = random.Random(seed)
    data = bytearray(day.index.read_bytes())
    for _ in range(30):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    day.index.write_bytes(data)

    reader.overview(EVERYTHING)
    list(reader.iter_traces(EVERYTHING))

    assert sum(len(trace.spans) for trace in reader.iter_traces(EVERYTHING)) == SPANS
    assert reader.overview(EVERYTHING).spans == SPANS


@pytest.mark.parametrize(("is_damaged", "times"), [(True, 2), (False, 1)])
def test_odd_values_are_asked_for_again_where_the_index_is_damaged(
    tmp_path, day, reader, is_damaged, times
):
    """A NULL in place of an id mends a damaged index; in a sound one the mistake is ours."""
    reader.close()
    index = ProjectIndex(DataPaths(tmp_path).project("default"), now_unix_ns=lambda: START_UNIX_NS)
    index.catch_up()
    asked = []

    def question() -> int:
        asked.append(None)
        if len(asked) == 1:
            raise TypeError("'<' not supported between instances of 'NoneType' and 'bytes'")
        (count,) = index.days[0].connection.execute("SELECT count(*) FROM spans").fetchone()
        return count

    if is_damaged:
        zeros(day)
        assert index.answer(question) == SPANS
    else:
        with pytest.raises(TypeError):
            index.answer(question)
    index.close()

    assert len(asked) == times


def test_a_scan_leaves_what_arrives_meanwhile_to_the_next(tmp_path, day, reader):
    """A scan beside a writer ends with what was stored when it began."""
    first_ids = [trace_id_of(1_000 + number) for number in range(2_000)]
    day.plain("200000Z-w0-000001").write_bytes(b"".join(_lines_of(first_ids)))
    known = len(list(reader.iter_traces(EVERYTHING)))

    scan = reader.iter_traces(EVERYTHING)
    found = [next(scan).trace_id]
    late_ids = [trace_id_of(10_000 + number) for number in range(2_000)]
    day.plain("210000Z-w0-000001").write_bytes(b"".join(_lines_of(late_ids)))
    found += [trace.trace_id for trace in scan]

    assert len(found) == known
    assert not set(found) & set(late_ids)
    assert len(list(reader.iter_traces(EVERYTHING))) == known + len(late_ids)


def _lines_of(trace_ids):
    return [make_line(trace_id=trace_id, span_id=span_id_of(1)) for trace_id in trace_ids]


def test_a_catch_up_does_not_chase_a_writer(day):
    """With a new line by the time each block is indexed, it still ends, with all from before."""
    index = DayIndex(day)
    stem = "100009Z-w0-000001"
    late = 0

    def another_line(_new: list[NewTrace]) -> None:
        nonlocal late
        late += 1
        with day.plain(stem).open("ab") as shard:
            shard.write(make_line(trace_id=trace_id_of(99), span_id=span_id_of(1_000 + late)))

    another_line([])
    goal = index.reach()
    blocks = 0
    while index.index_block(goal, another_line):
        blocks += 1
        assert blocks <= len(goal.sizes_bytes), "it goes on to lines that came after its begin"

    (spans,) = index.connection.execute("SELECT count(*) FROM spans").fetchone()
    assert SPANS < spans < SPANS + late
    assert not index.is_unchanged(may_grow=True)
    index.close()
