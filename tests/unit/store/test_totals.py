"""Totals tell a bounded number of names, and how many they leave out."""

from halo_daemon.store.filters import TraceFilter
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.query import MAX_NAMES, SpanQuery, TraceTotals
from halo_daemon.store.query_engine import LocalQueries
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.spans import START_UNIX_NS, make_line, span_id_of, trace_id_of


def test_names_beyond_the_bound_are_left_out_and_counted(tmp_path) -> None:
    """Of more tools and agents' ids than are told, the first are, and the number of the rest."""
    day = DataPaths(tmp_path).project("default").day("2026-08-29")
    day.directory.mkdir(parents=True)
    lines = [
        make_line(
            span_id=span_id_of(number + 1),
            observation_kind="TOOL",
            attributes={"tool.name": f"tool-{number:06d}", "agent.id": f"agent-{number:06d}"},
        )
        for number in range(MAX_NAMES + 7)
    ]
    day.plain("100000Z-w0-000001").write_bytes(b"".join(lines))
    queries = LocalQueries(
        tmp_path, "default", now_unix_ns=lambda: START_UNIX_NS, now_monotonic_s=lambda: 0.0
    )

    totals = queries.sum_traces(Window(0, 2**63), TraceFilter())

    first = tuple(f"{number:06d}" for number in range(MAX_NAMES))
    assert totals.tools == tuple(f"tool-{text}" for text in first)
    assert totals.agent_ids == tuple(f"agent-{text}" for text in first)
    assert totals.left_out_names == 14
    queries.close()


def test_totals_with_few_names_tell_them_all() -> None:
    """As many names as are told leave none out."""
    totals = TraceTotals(tools=tuple(f"{number:04d}" for number in range(MAX_NAMES)))
    assert totals.with_first_names() == totals


def test_an_agent_that_only_a_replaced_version_names_is_not_told(tmp_path) -> None:
    """Of many traces, too, agents count by the version of each span that counts."""
    day = DataPaths(tmp_path).project("default").day("2026-08-29")
    day.directory.mkdir(parents=True)
    shard = day.plain("100000Z-w0-000001")
    shard.write_bytes(
        b"".join(
            make_line(
                trace_id=trace_id_of(number + 1),
                span_id=span_id_of(number + 1),
                attributes={"agent.id": "early" if number == 7 else "steady"},
            )
            for number in range(600)
        )
    )
    queries = LocalQueries(
        tmp_path, "default", now_unix_ns=lambda: START_UNIX_NS, now_monotonic_s=lambda: 0.0
    )
    before = queries.sum_traces(Window(0, 2**63), TraceFilter())
    later = make_line(
        trace_id=trace_id_of(8),
        span_id=span_id_of(8),
        end_unix_ns=START_UNIX_NS + 10**12,
        attributes={"agent.id": "late"},
    )
    with shard.open("ab") as file:
        file.write(later)

    after = queries.sum_traces(Window(0, 2**63), TraceFilter())

    assert before.agent_ids == ("early", "steady")
    assert after.agent_ids == ("late", "steady")
    assert (after.traces, after.spans, after.duplicate_spans) == (600, 600, 1)
    queries.close()


def test_a_cost_below_zero_is_a_cost(tmp_path) -> None:
    """A credit counts as it is written, and a span without a cost has none."""
    day = DataPaths(tmp_path).project("default").day("2026-08-29")
    day.directory.mkdir(parents=True)
    costs = (-1.0, -1, 0.25, 0, None)
    day.plain("100000Z-w0-000001").write_bytes(
        b"".join(
            make_line(span_id=span_id_of(place + 1), attributes={"inference.llm.cost.total": cost})
            for place, cost in enumerate(costs)
        )
    )
    queries = LocalQueries(
        tmp_path, "default", now_unix_ns=lambda: START_UNIX_NS, now_monotonic_s=lambda: 0.0
    )

    spans = queries.query_spans(Window(0, 2**63), SpanQuery()).spans

    assert {span.span_id: span.cost_usd for span in spans} == {
        span_id_of(place + 1): cost for place, cost in enumerate(costs)
    }
    assert queries.sum_traces(Window(0, 2**63), TraceFilter()).cost_usd == -1.75
    queries.close()
