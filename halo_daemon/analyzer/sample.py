"""
Which traces of a window are examined where not all of them are wanted.

The sample is stratified by what the index knows of a trace: its service, the name of
its root, and whether a span of it failed. Each stratum has its share of the sample, and
every trace the same chance, so that rates of the sample are rates of the window. Chance
is a hash of the ids: the same window gives the same sample, on any machine and in any
order of arrival. A session is taken whole or not at all, because some findings are only
seen where its traces follow one another; one that would be more than a tenth of the sample
is taken by its single traces.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

from halo_daemon.store.trace_reader import TraceReader, TraceSummary, Window

_PAGE = 20_000
_HASH_BYTES = 8
# A session with a larger part of the sample would be most of what is looked at.
_MOST_OF_SAMPLE = 10


class Sample(NamedTuple):
    """Some traces of a window."""

    trace_ids: frozenset[str]
    of: int
    """Traces of the window."""


class _Unit(NamedTuple):
    """What is taken as one: a session, or a trace without one."""

    chance: int
    trace_ids: tuple[str, ...]


_Stratum = tuple[str, str, bool]


def sample_of(reader: TraceReader, window: Window, max_traces: int) -> Sample | None:
    """
    Choose at most *max_traces* traces; None where the window holds no more than that.

    Raises:
        StoreError: The traces cannot be read.
    """
    traces = list(_listed(reader, window))
    if len(traces) <= max_traces:
        return None
    chosen: set[str] = set()
    for unit in _in_turn(_strata(traces, most=max(1, max_traces // _MOST_OF_SAMPLE))):
        if len(chosen) + len(unit.trace_ids) <= max_traces:
            chosen.update(unit.trace_ids)
    return Sample(frozenset(chosen), len(traces))


def _listed(reader: TraceReader, window: Window) -> Iterator[TraceSummary]:
    offset = 0
    while page := reader.list_traces(window, limit=_PAGE, offset=offset):
        yield from page
        offset += len(page)


def _strata(traces: list[TraceSummary], *, most: int) -> dict[_Stratum, list[_Unit]]:
    """Sessions of at most *most* traces, and the other traces by themselves, by stratum."""
    together: dict[tuple[str, str], list[TraceSummary]] = {}
    for trace in traces:
        alone = "" if trace.session_id else trace.trace_id
        together.setdefault((trace.session_id, alone), []).append(trace)
    strata: dict[_Stratum, list[_Unit]] = {}
    for session in together.values():
        parts = [session] if len(session) <= most else [[trace] for trace in session]
        for part in parts:
            first = min(part, key=lambda trace: (trace.start_unix_ns, trace.trace_id))
            stratum = first.service_name, first.root_name, any(t.error_spans for t in part)
            ids = tuple(sorted(trace.trace_id for trace in part))
            strata.setdefault(stratum, []).append(_Unit(_chance(*ids), ids))
    return strata


def _in_turn(strata: dict[_Stratum, list[_Unit]]) -> list[_Unit]:
    """
    All units in such an order that each beginning holds the same share of every stratum.

    A stratum's units are spread evenly, from an offset of its own: that of a single trace
    comes as early as chance has it, not always in the middle.
    """
    ordered: list[tuple[float, int, _Unit]] = []
    for stratum, units in strata.items():
        offset = _chance(*map(str, stratum)) / 2 ** (8 * _HASH_BYTES)
        for rank, unit in enumerate(sorted(units)):
            ordered.append(((rank + offset) / len(units), unit.chance, unit))
    return [unit for _, _, unit in sorted(ordered)]


def _chance(*parts: str) -> int:
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=_HASH_BYTES).digest(), "big")
