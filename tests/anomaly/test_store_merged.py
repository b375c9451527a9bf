"""Traces of several days are one trace, whatever happens to the index that merges them."""

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from halo_daemon.store.filters import SpanFilter, TraceFilter
from halo_daemon.store.maintenance import project_stats
from halo_daemon.store.paths import DataPaths, ProjectPaths
from halo_daemon.store.query import SpanQuery, TraceQuery
from halo_daemon.store.query_engine import LocalQueries
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.spans import START_UNIX_NS, make_line, span_id_of, trace_id_of

EVERYTHING = Window(0, 2**63)
DAYS = ("2026-08-27", "2026-08-28", "2026-08-29")
TRACES, SPANS_A_DAY = 3, 4


def write(project: ProjectPaths, day_name: str, sequence: int, lines: list[bytes]) -> None:
    """Add a shard to a day."""
    day = project.day(day_name)
    day.directory.mkdir(parents=True, exist_ok=True)
    day.plain(f"100000Z-w0-{sequence:06d}").write_bytes(b"".join(lines))


@pytest.fixture
def project(tmp_path) -> ProjectPaths:
    """Three traces over three days, and one of each day alone."""
    project = DataPaths(tmp_path).project("default")
    for place, day in enumerate(DAYS):
        lines = [
            make_line(
                trace_id=trace_id_of(trace + 1),
                span_id=span_id_of(place * SPANS_A_DAY + span + 1),
                parent_span_id="" if place + span == 0 else span_id_of(1),
            )
            for trace in range(TRACES)
            for span in range(SPANS_A_DAY)
        ]
        lines.append(make_line(trace_id=trace_id_of(100 + place), span_id=span_id_of(1)))
        write(project, day, 1, lines)
    return project


def open_reader(project: ProjectPaths) -> LocalTraceReader:
    """A reader of the project."""
    root = project.directory.parent.parent
    return LocalTraceReader(root, "default", settle_s=60.0, now_unix_ns=lambda: START_UNIX_NS)


@pytest.fixture
def reader(project) -> Iterator[LocalTraceReader]:
    """A reader that has merged the traces."""
    reader = open_reader(project)
    assert project.merged.exists() is False
    reader.overview(EVERYTHING)
    assert project.merged.exists()
    yield reader
    reader.close()


def answers(reader: LocalTraceReader) -> list[object]:
    """What a reader says of everything."""
    return [
        reader.overview(EVERYTHING),
        reader.list_traces(EVERYTHING),
        [trace.trace_id for trace in reader.iter_traces(EVERYTHING)],
        [len(trace.spans) for trace in reader.iter_traces(EVERYTHING)],
    ]


def delete(project: ProjectPaths) -> None:
    """Remove the file and its log."""
    for path in project.directory.glob("merged.sqlite*"):
        path.unlink()


def noise(project: ProjectPaths) -> None:
    """Write something else over it."""
    for path in project.directory.glob("merged.sqlite*"):
        path.write_bytes(b"not a database " * 1000)


def zeros(project: ProjectPaths) -> None:
    """Lose its middle."""
    for path in project.directory.glob("merged.sqlite*"):
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.seek(size // 3)
            file.write(b"\0" * (size // 3))


def flip(project: ProjectPaths) -> None:
    """Turn some bits."""
    draw = random.Random(3)
    data = bytearray(project.merged.read_bytes())
    for _ in range(40):
        data[draw.randrange(100, len(data))] ^= 1 << draw.randrange(8)
    project.merged.write_bytes(data)


def age(project: ProjectPaths) -> None:
    """Be of an older version."""
    connection = sqlite3.connect(project.merged)
    connection.execute("PRAGMA user_version = 1")
    connection.close()


def forget_a_day(project: ProjectPaths) -> None:
    """Build the index of one day again, whose rows are others then."""
    for path in project.day(DAYS[1]).directory.glob("index.sqlite*"):
        path.unlink()


def lose_first_page(project: ProjectPaths, table: str) -> None:
    """Fill the page with zeros that a table, or an index, begins at."""
    connection = sqlite3.connect(project.merged)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    query = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
    (page,) = connection.execute(query, (table,)).fetchone()
    connection.close()
    with project.merged.open("r+b") as file:
        file.seek((page - 1) * page_bytes)
        file.write(b"\0" * page_bytes)


def copy_of(path: Path) -> bytes:
    """A derived file that nobody has open, with what stood in its log."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path.read_bytes()


DAMAGES = [delete, noise, zeros, flip, age, forget_a_day]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_merge_is_made_again(
    project, reader, damage: Callable[[ProjectPaths], None]
) -> None:
    """Whatever happens to the merged index, the next reader's answers are the same."""
    before = answers(reader)
    reader.close()
    damage(project)

    other = open_reader(project)
    assert answers(other) == before
    other.close()


@pytest.mark.parametrize("damage", [delete, forget_a_day])
def test_a_merge_that_goes_under_an_open_reader_is_made_again(
    project, reader, damage: Callable[[ProjectPaths], None]
) -> None:
    """A reader that has the merged index open notices that it is gone."""
    before = answers(reader)
    damage(project)
    assert answers(reader) == before


@pytest.mark.parametrize("table", ["spans", "span_versions", "traces", "trace_starts", "shapes"])
def test_damage_that_a_question_meets_costs_no_trace(project, reader, table: str) -> None:
    """Whichever page of the merged index is lost, the answers before and after are the same."""
    before = answers(reader)
    reader.close()
    lose_first_page(project, table)

    other = open_reader(project)
    assert answers(other) == before
    other.close()


def test_a_day_that_is_gone_takes_its_spans_out_of_the_merge(project, reader) -> None:
    """Once a day is pruned, traces of several days have the spans of the other days."""
    shutil.rmtree(project.day(DAYS[2]).directory)

    overview = reader.overview(EVERYTHING)

    assert overview.traces == TRACES + 2
    assert overview.spans == TRACES * SPANS_A_DAY * 2 + 2
    trace = reader.load_trace(trace_id_of(1))
    assert trace is not None
    assert len(trace.spans) == SPANS_A_DAY * 2


def test_one_new_span_costs_the_merge_no_look_at_the_others(project, tmp_path) -> None:
    """A span that is added to a trace of many changes a few rows, not one for each span."""
    spans = 3_000
    many = [
        make_line(trace_id=trace_id_of(1), span_id=span_id_of(1_000 + span))
        for span in range(spans)
    ]
    write(project, DAYS[1], 2, many)
    queries = LocalQueries(
        tmp_path, "default", now_unix_ns=lambda: START_UNIX_NS, now_monotonic_s=lambda: 0.0
    )
    before = queries.sum_traces(EVERYTHING, TraceFilter()).spans
    (merged,) = queries._index.merged
    changes = merged.connection.total_changes
    write(project, DAYS[2], 2, [make_line(trace_id=trace_id_of(1), span_id=span_id_of(9_000))])

    assert queries.sum_traces(EVERYTHING, TraceFilter()).spans == before + 1

    assert 0 < merged.connection.total_changes - changes < 30
    queries.close()


def test_a_second_reader_takes_on_where_the_first_one_stopped(project, reader) -> None:
    """Two readers that merge by turns say the same, and count no span twice."""
    other = open_reader(project)
    for turn, one in enumerate([reader, other, reader, other]):
        fresh = [
            make_line(trace_id=trace_id_of(trace), span_id=span_id_of(5_000 + turn))
            for trace in (1, 100 + turn % 3)
        ]
        write(project, DAYS[turn % 3], 10 + turn, fresh)
        one.overview(EVERYTHING)
        assert answers(reader) == answers(other)
    other.close()


def test_a_trace_that_begins_to_span_days_under_a_scan_is_told_once(project, reader) -> None:
    """A trace that another day gets spans of while all are read is neither lost nor doubled."""
    scan = reader.iter_traces(EVERYTHING)
    told = [next(scan).trace_id]
    for place in range(len(DAYS)):
        late = make_line(trace_id=trace_id_of(100 + place), span_id=span_id_of(2))
        write(project, DAYS[(place + 1) % len(DAYS)], 7, [late])
    reader.overview(EVERYTHING)

    told += [trace.trace_id for trace in scan]

    assert told == [trace_id_of(n) for n in (1, 2, 3, 100, 101, 102)]


def test_pages_and_counts_of_spans_hold_over_days(project, tmp_path) -> None:
    """Filters by what only another day's span tells choose the whole trace."""
    naming = make_line(
        trace_id=trace_id_of(2),
        span_id=span_id_of(900),
        attributes={"inference.session_id": "night"},
    )
    write(project, DAYS[0], 2, [naming])
    queries = LocalQueries(
        tmp_path, "default", now_unix_ns=lambda: START_UNIX_NS, now_monotonic_s=lambda: 0.0
    )

    page = queries.query_spans(EVERYTHING, SpanQuery(filter=SpanFilter(session_ids=("night",))))
    traces = queries.query_traces(EVERYTHING, TraceQuery(filter=TraceFilter(min_spans=13)))

    assert page.total == SPANS_A_DAY * len(DAYS) + 1
    assert [trace.trace_id for trace in traces.traces] == [trace_id_of(2)]
    queries.close()


def test_figures_of_a_project_count_a_span_of_two_days_once(project, reader) -> None:
    """A span that came again on another day is a duplicate in `store stats` too."""
    write(project, DAYS[2], 2, [make_line(trace_id=trace_id_of(1), span_id=span_id_of(1))])

    stats = project_stats(project, now_unix_ns=START_UNIX_NS)

    overview = reader.overview(EVERYTHING)
    assert (stats.traces, stats.spans, stats.duplicate_spans) == (
        overview.traces,
        overview.spans,
        overview.duplicate_spans,
    )
    assert stats.duplicate_spans == 1


def test_a_day_index_that_a_power_cut_threw_back_is_taken_again(project, reader) -> None:
    """A day's file that lost its last blocks, and got them in another order, loses no span."""
    reader.close()
    day = project.day(DAYS[0])
    before = copy_of(day.index)
    for turn, worker in enumerate((1, 0)):
        # The shard of worker 0 is read first where both are new.
        fresh = make_line(trace_id=trace_id_of(1), span_id=span_id_of(700 + turn))
        with day.plain(f"110000Z-w{worker}-000001").open("ab") as file:
            file.write(fresh)
        if turn == 0:
            first = open_reader(project)
            first.overview(EVERYTHING)
            first.close()
    day.index.write_bytes(before)

    other = open_reader(project)
    overview = other.overview(EVERYTHING)
    trace = other.load_trace(trace_id_of(1))
    other.close()

    assert overview.duplicate_spans == 0
    assert trace is not None
    assert len(trace.spans) == SPANS_A_DAY * len(DAYS) + 2
