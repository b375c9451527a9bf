"""However the same deliveries are laid out on disk, the local reader says what the oracle says."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, given, settings, strategies as st

from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace
from halo_daemon.store.paths import DataPaths, day_of, shard_stem
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.receipts import encode_receipt
from halo_daemon.store.trace_reader import (
    MAX_ANSWER_BYTES,
    TraceReader,
    Window,
    WindowBy,
    parts_of,
)
from halo_daemon.testing.memory_reader import MemoryReader
from halo_daemon.testing.spans import START_UNIX_NS, make_line, span_id_of, trace_id_of

HOUR = 3600 * 10**9
NOW = START_UNIX_NS + 100 * HOUR
SETTLE_S = 3600.0


@dataclass(frozen=True)
class Delivery:
    """One line, when it arrived (the place in the list breaks ties), and by which worker."""

    line: bytes
    received_unix_ns: int
    worker: int


@st.composite
def deliveries(draw: st.DrawFn) -> list[Delivery]:
    """Versions of few spans of few traces over three days, so that all cases collide."""
    found = []
    received = START_UNIX_NS
    for _ in range(draw(st.integers(0, 25))):
        received += draw(st.sampled_from([1, HOUR, 9 * HOUR]))
        kind = draw(st.sampled_from(["LLM", "TOOL", "SPAN"]))
        start = START_UNIX_NS + draw(st.integers(0, 3)) * HOUR
        line = make_line(
            trace_id=trace_id_of(draw(st.integers(1, 4))),
            span_id=span_id_of(draw(st.integers(1, 4))),
            parent_span_id=draw(st.sampled_from(["", span_id_of(1), span_id_of(2), "odd"])),
            name=draw(st.sampled_from(["a", "b"])),
            start_unix_ns=start,
            end_unix_ns=draw(st.sampled_from([0, start, start + 1, start + HOUR])),
            status_code=draw(st.sampled_from(["STATUS_CODE_OK", "STATUS_CODE_ERROR"])),
            service_name=draw(st.sampled_from(["x", "y", ""])),
            observation_kind=kind,
            attributes={
                "inference.llm.input_tokens": draw(st.sampled_from([None, 0, 5, True, "7"])),
                "inference.llm.cost.total": draw(st.sampled_from([None, 0.5, True])),
                "inference.session_id": draw(st.sampled_from([None, "s", "t"])),
                "inference.user_id": draw(st.sampled_from([None, "u"])),
                "inference.llm.model_name": draw(st.sampled_from([None, "m", "n"])),
                "tool.name": draw(st.sampled_from(["", "t"])),
                "inference.agent_id": draw(st.sampled_from([None, "agent-1"])),
            },
        )
        found.append(Delivery(line, received, draw(st.integers(0, 1))))
    return found


windows = st.builds(
    lambda begin, length, by: Window(
        START_UNIX_NS + begin * HOUR, START_UNIX_NS + (begin + length) * HOUR, by
    ),
    st.integers(-2, 90),
    st.integers(0, 90),
    st.sampled_from(list(WindowBy)),
)


def oracle(stored: list[Delivery], max_answer_bytes: int = MAX_ANSWER_BYTES) -> MemoryReader:
    """The answers as they should be."""
    reader = MemoryReader(
        settle_s=SETTLE_S, now_unix_ns=lambda: NOW, max_answer_bytes=max_answer_bytes
    )
    for delivery in stored:
        reader.add(Span.from_line(delivery.line), received_unix_ns=delivery.received_unix_ns)
    return reader


def append(root: Path, stored: list[Delivery], *, shard_lines: int) -> None:
    """Lay deliveries out as two workers with small shards would."""
    project = DataPaths(root).project("default")
    groups: dict[tuple[str, int], list[Delivery]] = {}
    for delivery in stored:
        key = (day_of(delivery.received_unix_ns), delivery.worker)
        groups.setdefault(key, []).append(delivery)
    for (day_name, worker), group in groups.items():
        day = project.day(day_name)
        day.directory.mkdir(parents=True, exist_ok=True)
        for start in range(0, len(group), shard_lines):
            part = group[start : start + shard_lines]
            sequence = len(day.stems()) + 1
            stem = shard_stem(part[0].received_unix_ns, worker=worker, sequence=sequence)
            end = 0
            receipts = b""
            for delivery in part:
                end += len(delivery.line)
                receipts += encode_receipt(end, delivery.received_unix_ns)
            day.receipts(stem).write_bytes(receipts)
            day.plain(stem).write_bytes(b"".join(delivery.line for delivery in part))


def answers(reader: TraceReader, window: Window) -> list[object]:
    """Everything a reader says, in a form that compares."""
    return [
        reader.overview(window),
        reader.list_traces(window),
        reader.list_traces(window, limit=1, offset=1),
        [comparable(trace) for trace in reader.iter_traces(window)],
        [comparable(reader.load_trace(trace_id_of(number))) for number in range(1, 6)],
    ]


def all_parts(reader: TraceReader, trace_id: str) -> list[object]:
    """A trace by value, part by part."""
    first = reader.load_trace(trace_id)
    return [comparable(part) for part in parts_of(reader.load_trace, first)] if first else []


def comparable(trace: Trace | None) -> object:
    """A trace by value."""
    return trace and (
        trace.trace_id,
        [span.fields for span in trace.spans],
        trace.duplicate_spans,
        trace.is_open,
        trace.cut,
    )


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stored=deliveries(), cut=st.integers(0, 25), shard_lines=st.integers(1, 6), window=windows)
def test_any_layout_gives_the_same_answers(stored, cut, shard_lines, window):
    """Split, order, duplication, days and growth between two reads change no answer (P-01)."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        DataPaths(root).project("default").directory.mkdir(parents=True)
        reader = LocalTraceReader(root, "default", settle_s=SETTLE_S, now_unix_ns=lambda: NOW)
        try:
            append(root, stored[:cut], shard_lines=shard_lines)
            early = answers(reader, window)
            append(root, stored[cut:], shard_lines=shard_lines)
            late = answers(reader, window)
        finally:
            reader.close()

        assert early == answers(oracle(stored[:cut]), window)
        assert late == answers(oracle(stored), window)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    stored=deliveries(),
    shard_lines=st.integers(1, 6),
    window=windows,
    max_answer_bytes=st.integers(1, 12_000),
)
def test_answers_that_are_cut_are_cut_alike(stored, shard_lines, window, max_answer_bytes):
    """Whatever the bound, each part of each trace is the oracle's, over days and versions."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        DataPaths(root).project("default").directory.mkdir(parents=True)
        append(root, stored, shard_lines=shard_lines)
        reader = LocalTraceReader(
            root,
            "default",
            settle_s=SETTLE_S,
            now_unix_ns=lambda: NOW,
            max_answer_bytes=max_answer_bytes,
        )
        expected = oracle(stored, max_answer_bytes)
        try:
            assert answers(reader, window) == answers(expected, window)
            for number in range(1, 6):
                ours, theirs = (all_parts(one, trace_id_of(number)) for one in (reader, expected))
                assert ours == theirs
        finally:
            reader.close()
