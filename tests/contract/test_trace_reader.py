"""One suite for every `TraceReader`: each test says what was stored, in order of arrival."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from halo_daemon.errors import QueryError
from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace
from halo_daemon.store.paths import DataPaths, day_of, shard_stem
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.receipts import encode_receipt
from halo_daemon.store.trace_reader import Share, TraceReader, Window, WindowBy, parts_of
from halo_daemon.testing.memory_reader import MemoryReader
from halo_daemon.testing.spans import START_UNIX_NS, make_line, span_id_of, trace_id_of

SECOND = 10**9
DAY = 86_400 * SECOND
SETTLE_S = 300.0
NOW = START_UNIX_NS + 10 * DAY
MAX_ANSWER_BYTES = 70_000
EVERYTHING = Window(0, 2**63)

Deliver = Callable[..., None]
Opened = tuple[TraceReader, Deliver]


def memory(tmp_path: Path, now: Callable[[], int]) -> Opened:
    """The oracle."""
    reader = MemoryReader(settle_s=SETTLE_S, now_unix_ns=now, max_answer_bytes=MAX_ANSWER_BYTES)

    def deliver(*lines: bytes, received: int = START_UNIX_NS) -> None:
        for line in lines:
            try:
                reader.add(Span.from_line(line), received_unix_ns=received)
            except ValueError:
                reader.add_bad_line(received_unix_ns=received)

    return reader, deliver


def local(tmp_path: Path, now: Callable[[], int]) -> Opened:
    """Shards and their index."""
    project = DataPaths(tmp_path).project("default")
    project.directory.mkdir(parents=True)
    sequence = itertools.count(1)

    def deliver(*lines: bytes, received: int = START_UNIX_NS) -> None:
        day = project.day(day_of(received))
        day.directory.mkdir(parents=True, exist_ok=True)
        stem = shard_stem(received, worker=0, sequence=next(sequence))
        data = b"".join(lines)
        day.receipts(stem).write_bytes(encode_receipt(len(data), received))
        day.plain(stem).write_bytes(data)

    reader = LocalTraceReader(
        tmp_path,
        "default",
        settle_s=SETTLE_S,
        now_unix_ns=now,
        max_answer_bytes=MAX_ANSWER_BYTES,
    )
    return reader, deliver


@pytest.fixture(params=[memory, local], ids=lambda factory: factory.__name__)
def opened(request, tmp_path) -> Iterator[Opened]:
    """Each reader in turn, empty, with a function that stores lines received at a moment."""
    reader, deliver = request.param(tmp_path, lambda: NOW)
    yield reader, deliver
    if isinstance(reader, LocalTraceReader):
        reader.close()


def test_an_empty_project_answers_with_nothing(opened):
    """Where nothing is stored, counts are zero and lists are empty."""
    reader, _ = opened

    overview = reader.overview(EVERYTHING)

    assert (overview.traces, overview.spans, overview.services) == (0, 0, ())
    assert reader.list_traces(EVERYTHING) == []
    assert reader.load_trace(trace_id_of(1)) is None
    assert list(reader.iter_traces(EVERYTHING)) == []


@pytest.mark.parametrize("trace_id", ["", "xyz", "AB" * 16, "00", "\ud800", "0" * 31])
def test_ids_that_are_none_are_unknown(opened, trace_id):
    """An id that no trace can have is not found, and is no error."""
    reader, deliver = opened
    deliver(make_line())

    assert reader.load_trace(trace_id) is None


def test_a_trace_over_shards_and_days_is_one(opened):
    """Spans that came in by several files, hours and days make one trace."""
    reader, deliver = opened
    for number in range(1, 5):
        deliver(
            make_line(span_id=span_id_of(number), start_unix_ns=START_UNIX_NS + number),
            received=START_UNIX_NS + number * DAY // 2,
        )

    (summary,) = reader.list_traces(EVERYTHING)
    (trace,) = reader.iter_traces(EVERYTHING)

    assert [span.span_id for span in trace.spans] == [span_id_of(n) for n in range(1, 5)]
    assert (summary.spans, reader.overview(EVERYTHING).traces) == (4, 1)


@pytest.mark.parametrize("apart", [0, SECOND, DAY], ids=["together", "later", "next-day"])
def test_a_span_counts_once(opened, apart):
    """A re-delivered span counts once, wherever and whenever its copy arrived."""
    reader, deliver = opened
    line = make_line(attributes={"inference.llm.input_tokens": 7})
    deliver(line)
    deliver(line, received=START_UNIX_NS + apart)

    overview = reader.overview(EVERYTHING)

    assert (overview.spans, overview.duplicate_spans, overview.input_tokens) == (1, 1, 7)
    trace = reader.load_trace(Span.from_line(line).trace_id)
    assert trace is not None
    assert (len(trace.spans), trace.duplicate_spans) == (1, 1)


@pytest.mark.parametrize("apart", [SECOND, DAY], ids=["later", "next-day"])
@pytest.mark.parametrize("complete_first", [True, False])
def test_a_complete_version_beats_a_pending_one(opened, complete_first, apart):
    """The version with an end counts, whichever arrived first."""
    reader, deliver = opened
    complete = make_line(status_code="STATUS_CODE_ERROR", service_name="new")
    pending = make_line(end_unix_ns=0, service_name="old")
    first, second = (complete, pending) if complete_first else (pending, complete)
    deliver(first)
    deliver(second, received=START_UNIX_NS + apart)

    overview = reader.overview(EVERYTHING)

    assert (overview.services, overview.error_traces) == (("new",), 1)
    assert reader.list_traces(EVERYTHING)[0].error_spans == 1


def test_windows_by_receipt_are_half_open(opened):
    """A trace received at the end of a window is not in it; one at its start is."""
    reader, deliver = opened
    deliver(make_line(trace_id=trace_id_of(1)), received=START_UNIX_NS)
    deliver(make_line(trace_id=trace_id_of(2)), received=START_UNIX_NS + SECOND)

    found = reader.list_traces(Window(START_UNIX_NS, START_UNIX_NS + SECOND))

    assert [summary.trace_id for summary in found] == [trace_id_of(1)]


@pytest.mark.parametrize("by", list(WindowBy))
def test_a_window_between_two_spans_misses_the_trace(opened, by):
    """A window that falls between the moments of a trace's spans does not hold it."""
    reader, deliver = opened
    for number in (1, 100):
        moment = START_UNIX_NS + number * SECOND
        deliver(
            make_line(span_id=span_id_of(number), start_unix_ns=moment),
            received=moment,
        )
    between = Window(START_UNIX_NS + 10 * SECOND, START_UNIX_NS + 20 * SECOND, by)
    around_last = Window(START_UNIX_NS + 100 * SECOND, START_UNIX_NS + 101 * SECOND, by)

    assert reader.list_traces(between) == []
    assert reader.overview(around_last).spans == 2


def test_late_and_imported_spans_are_in_the_window_of_their_receipt(opened):
    """A window by receipt holds spans however long ago they began; one by start does not."""
    reader, deliver = opened
    deliver(make_line(start_unix_ns=SECOND), received=START_UNIX_NS)
    window = (START_UNIX_NS, START_UNIX_NS + SECOND)

    assert reader.overview(Window(*window)).traces == 1
    assert reader.overview(Window(*window, WindowBy.START)).traces == 0
    assert reader.overview(Window(0, 2 * SECOND, WindowBy.START)).traces == 1


def test_the_latest_times_that_otlp_has_are_in_a_window_that_holds_them(opened):
    """A span that says it began in the year 2554 is found by its start as well."""
    reader, deliver = opened
    late = make_line(start_unix_ns=2**64 - 1, end_unix_ns=2**64 - 1)
    deliver(late, received=START_UNIX_NS)
    normal = make_line(
        trace_id=trace_id_of(2), start_unix_ns=START_UNIX_NS, end_unix_ns=START_UNIX_NS + SECOND
    )
    deliver(normal, received=START_UNIX_NS)

    assert reader.overview(Window(START_UNIX_NS + SECOND, 2**64, WindowBy.START)).traces == 1
    assert reader.overview(Window(0, 2**63 - 1, WindowBy.START)).traces == 1


def test_traces_are_listed_latest_first_in_pages(opened):
    """Order is by start, ties by trace id; pages do not overlap and end."""
    reader, deliver = opened
    for number in (3, 1, 2, 4):
        start = START_UNIX_NS + (number // 2) * SECOND
        deliver(make_line(trace_id=trace_id_of(number), start_unix_ns=start))

    pages = [reader.list_traces(EVERYTHING, limit=2, offset=offset) for offset in (0, 2, 4)]

    ids = [[summary.trace_id for summary in page] for page in pages]
    assert ids == [[trace_id_of(4), trace_id_of(2)], [trace_id_of(3), trace_id_of(1)], []]


def test_iteration_is_in_order_of_trace_id(opened):
    """Whole traces come in ascending order of their id, whatever order they arrived in."""
    reader, deliver = opened
    for number in (900, 5, 77, 12):
        deliver(make_line(trace_id=trace_id_of(number)))

    found = [trace.trace_id for trace in reader.iter_traces(EVERYTHING)]

    assert found == [trace_id_of(number) for number in (5, 12, 77, 900)]


def test_only_the_traces_asked_for_are_iterated(opened):
    """A share among some traces holds these alone, whole; one that is not there is left out."""
    reader, deliver = opened
    for number in (900, 5, 77, 12):
        deliver(make_line(trace_id=trace_id_of(number)))
    among = frozenset(map(trace_id_of, (900, 12, 4)))

    found = [trace.trace_id for trace in reader.iter_traces(EVERYTHING, share=Share(0, 1, among))]

    assert found == [trace_id_of(12), trace_id_of(900)]


@pytest.mark.parametrize("apart", [SECOND, DAY], ids=["one day", "two days"])
@pytest.mark.parametrize(
    ("named", "session"),
    [
        pytest.param((None, None), "", id="none"),
        pytest.param((None, "a"), "a", id="one"),
        pytest.param(("a", "b"), "", id="several"),
    ],
)
def test_a_trace_is_listed_with_the_one_session_that_it_names(opened, named, session, apart):
    """Spans that name none do not count; several sessions are none."""
    reader, deliver = opened
    for number, name in enumerate(named, 1):
        line = make_line(span_id=span_id_of(number), attributes={"inference.session_id": name})
        deliver(line, received=START_UNIX_NS + number * apart)

    (summary,) = reader.list_traces(EVERYTHING)

    assert summary.session_id == session


def test_the_root_is_the_earliest_span_without_a_stored_parent(opened):
    """Orphans count as roots; the earliest names the trace and its service."""
    reader, deliver = opened
    deliver(
        make_line(span_id=span_id_of(1), name="late root", start_unix_ns=START_UNIX_NS + 5),
        make_line(
            span_id=span_id_of(2),
            parent_span_id=span_id_of(99),
            name="orphan",
            service_name="edge",
        ),
    )

    (summary,) = reader.list_traces(EVERYTHING)

    assert (summary.root_name, summary.service_name) == ("orphan", "edge")


def test_a_cycle_has_no_root(opened):
    """Spans that are each other's parents do not hang a reader; the trace has no root name."""
    reader, deliver = opened
    deliver(
        make_line(span_id=span_id_of(1), parent_span_id=span_id_of(2)),
        make_line(span_id=span_id_of(2), parent_span_id=span_id_of(1)),
    )

    (summary,) = reader.list_traces(EVERYTHING)

    assert (summary.root_name, summary.service_name) == ("", "support-bot")


def test_facets_are_those_of_the_traces_in_the_window(opened):
    """Tools, models and agents of other traces are not listed; empty names never are."""
    reader, deliver = opened
    tool = {"tool.name": "search", "inference.agent_name": "a"}
    deliver(
        make_line(trace_id=trace_id_of(1), observation_kind="TOOL", attributes=tool),
        make_line(
            trace_id=trace_id_of(1),
            span_id=span_id_of(2),
            observation_kind="LLM",
            attributes={"inference.llm.model_name": "m"},
        ),
    )
    deliver(
        make_line(trace_id=trace_id_of(2), observation_kind="TOOL", name="unnamed"),
        received=START_UNIX_NS + DAY,
    )

    first = reader.overview(Window(START_UNIX_NS, START_UNIX_NS + 1))
    second = reader.overview(Window(START_UNIX_NS + DAY, START_UNIX_NS + DAY + 1))

    assert (first.tools, first.models, first.agents) == (("search",), ("m",), ("a",))
    assert (second.tools, second.models, second.agents) == (("unnamed",), (), ())


@pytest.mark.parametrize(
    ("parent", "end", "age_s", "is_open"),
    [
        pytest.param("", 0, 10, True, id="root-still-runs"),
        pytest.param(span_id_of(9), None, 10, True, id="only-a-child-so-far"),
        pytest.param("", None, 10, False, id="root-ended"),
        pytest.param("", 0, 3600, False, id="quiet-for-long"),
    ],
)
def test_open_traces_are_known(opened, parent, end, age_s, is_open):
    """A trace is open while no root has ended and its last span is fresh."""
    reader, deliver = opened
    line = make_line(parent_span_id=parent, end_unix_ns=end)
    deliver(line, received=NOW - age_s * SECOND)

    trace = reader.load_trace(Span.from_line(line).trace_id)

    assert trace is not None
    assert trace.is_open is is_open


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(b"not json\n", id="text"),
        pytest.param(b"\0" * 100 + b"\n", id="zeros"),
        pytest.param(b"{}\n", id="no-fields"),
        pytest.param(b"[1]\n", id="array"),
        pytest.param(b"null\n", id="null"),
        pytest.param(b'{"trace_id": 1}\n', id="wrong-type"),
        pytest.param(b"\xff\xfe\n", id="not-utf8"),
        pytest.param(make_line()[:-20] + b"\n", id="cut"),
    ],
)
def test_damaged_lines_are_counted_and_left_out(opened, damage):
    """A bad line between good ones costs nothing but itself."""
    reader, deliver = opened
    deliver(make_line(span_id=span_id_of(1)), damage, make_line(span_id=span_id_of(2)))

    overview = reader.overview(EVERYTHING)

    assert (overview.spans, overview.quarantined_lines) == (2, 1)
    assert reader.overview(Window(0, 1)).quarantined_lines == 0


def test_huge_token_counts_do_not_break_sums(opened):
    """Sums stay exact for the largest counts that make sense."""
    reader, deliver = opened
    for number in range(1, 4):
        deliver(
            make_line(
                span_id=span_id_of(number), attributes={"inference.llm.output_tokens": 10**12}
            )
        )

    assert reader.overview(EVERYTHING).output_tokens == 3 * 10**12


def nested_calls() -> list[bytes]:
    """A model call around a chain with another one, each with usage, and its agent."""

    def line(number: int, parent: int, kind: str, tokens: int | None) -> bytes:
        return make_line(
            span_id=span_id_of(number),
            parent_span_id=span_id_of(parent) if parent else "",
            observation_kind=kind,
            attributes={"inference.llm.input_tokens": tokens},
        )

    return [
        line(1, 0, "AGENT", None),
        line(2, 1, "LLM", 10),
        line(3, 2, "CHAIN", None),
        line(4, 3, "LLM", 7),
    ]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)])
@pytest.mark.parametrize("apart", [0, DAY])
def test_usage_is_counted_once_in_whatever_order_it_comes(opened, order, apart):
    """A model call around another one repeats its tokens, also when only a later span shows it."""
    reader, deliver = opened
    lines = nested_calls()
    for place, number in enumerate(order):
        deliver(lines[number], received=START_UNIX_NS + place * apart)
        reader.overview(EVERYTHING)

    assert reader.overview(EVERYTHING).input_tokens == 7
    assert [trace.input_tokens for trace in reader.list_traces(EVERYTHING)] == [7]


def test_a_replaced_version_encloses_nothing(opened):
    """When the inner call turns out to have been elsewhere, the outer one counts again."""
    reader, deliver = opened
    inner = nested_calls()[3]
    deliver(*nested_calls())
    moved = inner.replace(span_id_of(3).encode(), b"").replace(
        b'"end_time":"2026', b'"end_time":"2036'
    )
    deliver(moved, received=START_UNIX_NS + 1)

    assert reader.overview(EVERYTHING).input_tokens == 17


def long_line(number: int, *, start: int | None = None, chars: int = 20_000) -> bytes:
    """A span of which three fit into an answer."""
    return make_line(
        span_id=span_id_of(number),
        start_unix_ns=START_UNIX_NS + (number if start is None else start),
        attributes={"input.value": "x" * chars},
    )


def ids_of(trace: Trace) -> list[str]:
    """Ids of the spans of a trace, in order."""
    return [span.span_id for span in trace.spans]


@pytest.mark.parametrize("apart", [0, DAY], ids=["one-day", "two-days"])
def test_a_trace_larger_than_an_answer_comes_in_parts(opened, apart):
    """No part holds more than an answer may, and together the parts are the trace."""
    reader, deliver = opened
    deliver(*(long_line(number) for number in range(1, 6)))
    deliver(*(long_line(number) for number in range(6, 9)), received=START_UNIX_NS + apart)
    trace_id = Span.from_line(long_line(1)).trace_id

    first = reader.load_trace(trace_id)
    assert first is not None
    parts = list(parts_of(reader.load_trace, first))

    assert [ids_of(part) for part in parts] == [
        [span_id_of(number) for number in numbers] for numbers in ([1, 2, 3], [4, 5, 6], [7, 8])
    ]
    assert [part.cut and part.cut.spans for part in parts] == [5, 2, None]
    assert first.cut is not None
    assert first.cut.line_bytes == sum(len(long_line(n)) - 1 for n in range(4, 9))
    assert [ids_of(trace) for trace in reader.iter_traces(EVERYTHING)] == [ids_of(first)]
    assert reader.overview(EVERYTHING).spans == 8


def test_a_span_larger_than_an_answer_comes_alone(opened):
    """One span always fits, so that reading goes on behind it."""
    reader, deliver = opened
    deliver(long_line(1, chars=70_000), long_line(2, chars=70_000), long_line(3, chars=10))

    (first,) = reader.iter_traces(EVERYTHING)

    parts = list(parts_of(reader.load_trace, first))
    assert [ids_of(part) for part in parts] == [[span_id_of(number)] for number in (1, 2, 3)]


def test_versions_that_lose_take_no_room(opened):
    """A trace whose spans fit is whole, however often they were delivered."""
    reader, deliver = opened
    for day in range(4):
        deliver(long_line(1), long_line(2), received=START_UNIX_NS + day * DAY)

    (trace,) = reader.iter_traces(EVERYTHING)

    assert (ids_of(trace), trace.duplicate_spans, trace.cut) == (
        [span_id_of(1), span_id_of(2)],
        6,
        None,
    )


def test_nothing_follows_the_last_span(opened):
    """Behind the end of a trace there is no part; behind a span it has not is no place."""
    reader, deliver = opened
    deliver(long_line(1), long_line(2))
    trace_id = Span.from_line(long_line(1)).trace_id

    assert reader.load_trace(trace_id, after=span_id_of(2)) is None
    assert reader.load_trace(trace_id_of(77), after=span_id_of(2)) is None
    for unknown in (span_id_of(3), "no such span", "x\0"):
        with pytest.raises(QueryError):
            reader.load_trace(trace_id, after=unknown)


def test_the_parts_of_an_open_trace_are_open(opened):
    """Every part knows of the whole trace whether more is expected."""
    reader, deliver = opened
    for number in range(1, 6):
        line = make_line(
            span_id=span_id_of(number),
            end_unix_ns=0,
            start_unix_ns=START_UNIX_NS + number,
            attributes={"input.value": "x" * 20_000},
        )
        deliver(line, received=NOW - SECOND)

    (first,) = reader.iter_traces(EVERYTHING)

    assert [part.is_open for part in parts_of(reader.load_trace, first)] == [True, True]


def test_names_that_do_not_fit_are_counted(opened):
    """An overview has as many names as an answer holds, and says how many it has not."""
    reader, deliver = opened
    deliver(
        *(
            make_line(span_id=span_id_of(n), service_name=f"{n:03}" + "s" * 1_000)
            for n in range(1, 81)
        )
    )

    overview = reader.overview(EVERYTHING)

    assert len(overview.services) == 69
    assert len(overview.services) + overview.left_out_names == 80
    assert overview.services[0].startswith("001")


def test_a_page_ends_where_the_answer_is_full(opened):
    """A list goes on at the offset behind what came, and nothing is listed twice or never."""
    reader, deliver = opened
    deliver(
        *(
            make_line(trace_id=trace_id_of(n), name=f"{n}" + "n" * 1_000, service_name="s" * 1_000)
            for n in range(1, 81)
        )
    )

    found: list[str] = []
    sizes = []
    while page := reader.list_traces(EVERYTHING, limit=100, offset=len(found)):
        found += [trace.trace_id for trace in page]
        sizes.append(len(page))

    assert sorted(found) == [trace_id_of(n) for n in range(1, 81)]
    assert len(sizes) > 2
