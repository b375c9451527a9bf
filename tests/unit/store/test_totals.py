"""Totals tell a bounded number of names, and how many they leave out."""

from halo_daemon.store.filters import TraceFilter
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.query import MAX_NAMES, TraceTotals
from halo_daemon.store.query_engine import LocalQueries
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.spans import START_UNIX_NS, make_line, span_id_of


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
