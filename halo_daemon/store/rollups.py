"""
What the index says of traces, merged over days.

Traces with rows in one day only, nearly all, are answered by that day's
rollups. The others, `ProjectIndex.shared`, are left out there and counted here
from the rows of all their days.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from halo_daemon.proto.ancestry import spans_above
from halo_daemon.store.day_index import DayIndex
from halo_daemon.store.paths import ShardName
from halo_daemon.store.project_index import ProjectIndex
from halo_daemon.store.shard_files import Extent
from halo_daemon.store.span_row import (
    DERIVED_ERROR_FLAG,
    NO_AGENT_FLAG,
    STATUS_ERROR_FLAG,
    TOOL_ERROR_FLAG,
)
from halo_daemon.store.trace_names import Named
from halo_daemon.store.trace_reader import Window, WindowBy

_MIN_NS, _MAX_NS = -(2**63), 2**63 - 1

NOT_SHARED = "t.trace_id NOT IN (SELECT trace_id FROM temp.shared)"
SHARED = "t.trace_id IN (SELECT trace_id FROM temp.shared)"

_BY_RECEIPT = """
    t.first_received_ns < :to_ns AND t.last_received_ns >= :from_ns
    AND (t.first_received_ns >= :from_ns OR t.last_received_ns < :to_ns
         OR EXISTS (SELECT 1 FROM spans s WHERE s.trace_id = t.trace_id AND s.superseded = 0
                    AND s.received_ns >= :from_ns AND s.received_ns < :to_ns)
         OR EXISTS (SELECT 1 FROM spans s WHERE s.trace_id = t.trace_id AND s.superseded = 1
                    AND s.received_ns >= :from_ns AND s.received_ns < :to_ns))
"""

_BY_START = """
    t.first_start_ns < :to_ns AND t.last_start_ns >= :from_ns
    AND (t.first_start_ns >= :from_ns OR t.last_start_ns < :to_ns
         OR EXISTS (SELECT 1 FROM spans s WHERE s.trace_id = t.trace_id AND s.superseded = 0
                    AND s.start_ns >= :from_ns AND s.start_ns < :to_ns))
"""

_VERSIONS = """
SELECT trace_id, span_id, parent_id, spans.flags, name, start_ns, end_ns, received_ns, input_tokens,
       output_tokens, cost_usd, superseded, stem, offset, length, service, tool, model, agent, session,
       user, agent_id, project
FROM spans JOIN shards ON shards.id = shard JOIN shapes ON shapes.id = shape
WHERE superseded = {superseded} AND trace_id IN ({marks})
"""


class Version(NamedTuple):
    """One stored version of one span."""

    trace_id: bytes
    span_id: bytes
    parent_id: bytes | None
    flags: int
    name: str
    start_ns: int
    end_ns: int
    received_ns: int
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    superseded: int
    stem: str
    offset: int
    length: int
    service: str
    tool: str
    model: str
    agent: str
    session: str | None
    user: str | None
    agent_id: str | None
    project: str
    day: str

    @property
    def rank(self) -> tuple[int, int, str, str, int]:
        """The version of the highest rank counts: later end, then later arrival."""
        return (self.end_ns, self.received_ns, self.day, self.stem, self.offset)

    @property
    def named(self) -> Named:
        """What it names."""
        return (self.service, self.model, self.tool, self.agent, self.agent_id, self.project)

    @property
    def has_usage(self) -> bool:
        """Whether it is a model call that reports tokens or cost."""
        return (self.input_tokens, self.output_tokens, self.cost_usd) != (None, None, None)

    @property
    def extent(self) -> Extent:
        """Where the line lies."""
        return Extent(ShardName(self.day, self.stem), self.offset, self.length)


@dataclass(frozen=True)
class StoredTrace:
    """All versions of the spans of one trace, merged over days; has at least one span."""

    trace_id: bytes
    spans: list[Version]
    """The versions that count, ordered by start and then by span id."""

    versions: list[Version]
    """All of them, in no order."""

    @property
    def duplicates(self) -> int:
        """Versions beside those that count."""
        return len(self.versions) - len(self.spans)

    @property
    def line_bytes(self) -> int:
        """Bytes of all versions."""
        return sum(version.length for version in self.versions)

    @property
    def last_received_ns(self) -> int:
        """When the last version arrived."""
        return max(version.received_ns for version in self.versions)

    @property
    def has_ended_root(self) -> bool:
        """Whether a span without a parent has ended."""
        return any(span.parent_id is None and span.end_ns > 0 for span in self.spans)

    @property
    def error_spans(self) -> int:
        """Spans with status ERROR."""
        return sum(1 for span in self.spans if span.flags & STATUS_ERROR_FLAG)

    @property
    def derived_errors(self) -> int:
        """Spans with an error signal outside the status."""
        return sum(1 for span in self.spans if span.flags & DERIVED_ERROR_FLAG)

    @cached_property
    def enclosing(self) -> set[bytes]:
        """Model calls around other ones, whose usage is not counted."""
        calls = [span.span_id for span in self.spans if span.has_usage]
        return spans_above({span.span_id: span.parent_id for span in self.spans}, calls)

    @property
    def counted(self) -> list[Version]:
        """The spans whose tokens and cost are the trace's."""
        return [span for span in self.spans if span.span_id not in self.enclosing]

    @property
    def session(self) -> str:
        """The one session that its spans name; ``""`` when none or several."""
        return _only(span.session for span in self.spans)

    @property
    def user(self) -> str:
        """The one user, likewise."""
        return _only(span.user for span in self.spans)

    def session_of(self, span: Version) -> str:
        """The session that *span* names, or else its trace's."""
        return span.session or self.session

    def user_of(self, span: Version) -> str:
        """The user, likewise."""
        return span.user or self.user

    @property
    def tool_errors(self) -> int:
        """Tools' spans with status ERROR."""
        return sum(1 for span in self.spans if span.flags & TOOL_ERROR_FLAG)

    @property
    def without_agent(self) -> int:
        """Spans that tell no agent."""
        return sum(1 for span in self.spans if span.flags & NO_AGENT_FLAG)

    @property
    def missing_parents(self) -> int:
        """Different parents that spans name and that are not stored."""
        ids = {span.span_id for span in self.spans}
        named = {span.parent_id for span in self.spans if span.parent_id is not None}
        return len(named - ids)

    @property
    def skewed_spans(self) -> int:
        """Spans that start before their parent does."""
        starts = {span.span_id: span.start_ns for span in self.spans}
        return sum(
            1
            for span in self.spans
            if span.parent_id in starts and span.start_ns < starts[span.parent_id]
        )

    @property
    def root(self) -> Version | None:
        """The earliest span whose parent is absent or not stored; None in a cycle."""
        ids = {span.span_id for span in self.spans}
        return next((span for span in self.spans if span.parent_id not in ids), None)

    def is_in(self, window: Window) -> bool:
        """Whether at least one span is in *window*."""
        if window.by is WindowBy.START:
            moments = (span.start_ns for span in self.spans)
        else:
            moments = (version.received_ns for version in self.versions)
        return any(window.from_unix_ns <= moment < window.to_unix_ns for moment in moments)


def window_condition(window: Window) -> tuple[str, dict[str, int]]:
    """The condition on a row ``t`` of ``traces``, and its parameters."""
    condition = _BY_START if window.by is WindowBy.START else _BY_RECEIPT
    return condition, {
        "from_ns": min(max(window.from_unix_ns, _MIN_NS), _MAX_NS),
        "to_ns": min(max(window.to_unix_ns, _MIN_NS), _MAX_NS),
    }


def traces_of_day(day: DayIndex, window: Window) -> tuple[str, dict[str, int]]:
    """The condition on ``t`` for traces of *window* that this day alone holds."""
    if day.is_outside(window):
        return "0", {}
    parts = [NOT_SHARED] if day.has_shared else []
    parameters: dict[str, int] = {}
    if not day.is_within(window):
        condition, parameters = window_condition(window)
        parts.append(condition)
    return " AND ".join(parts) or "1", parameters


def load_stored(days: Mapping[DayIndex, list[bytes]]) -> dict[bytes, StoredTrace]:
    """
    Look traces up in the days that may hold them.

    Returns:
        By trace id; a trace that no day holds is left out.
    """
    versions: dict[bytes, list[Version]] = {}
    for index, trace_ids in days.items():
        for version in _versions(index, trace_ids):
            versions.setdefault(version.trace_id, []).append(version)
    return {trace_id: _merge(trace_id, found) for trace_id, found in versions.items()}


def shared_in_window(index: ProjectIndex, window: Window) -> list[StoredTrace]:
    """Traces of several days that are in *window*, in order of trace id."""
    condition, parameters = window_condition(window)
    candidates: set[bytes] = set()
    for day in index.days:
        if not day.has_shared or day.is_outside(window):
            continue
        rows = day.connection.execute(
            f"SELECT t.trace_id FROM traces t WHERE {SHARED} AND {condition}",  # noqa: S608 -- constants
            parameters,
        )
        candidates.update(trace_id for (trace_id,) in rows)
    wanted: dict[DayIndex, list[bytes]] = {}
    for day in index.days:
        wanted[day] = [
            trace_id for trace_id in candidates if day.day in index.shared.get(trace_id, ())
        ]
    stored = load_stored(wanted)
    return [stored[trace_id] for trace_id in sorted(stored) if stored[trace_id].is_in(window)]


_MAX_MARKS = 500


def _only(values: Iterable[str | None]) -> str:
    distinct = {value for value in values if value}
    return distinct.pop() if len(distinct) == 1 else ""


def _versions(index: DayIndex, trace_ids: list[bytes]) -> Iterator[Version]:
    day = (index.day,)
    for start in range(0, len(trace_ids), _MAX_MARKS):
        chunk = trace_ids[start : start + _MAX_MARKS]
        marks = ", ".join("?" * len(chunk))
        # Two statements: each has a partial index of its own.
        for superseded in (0, 1):
            rows = index.connection.execute(
                _VERSIONS.format(superseded=superseded, marks=marks), chunk
            )
            yield from (Version._make(row + day) for row in rows)


def _merge(trace_id: bytes, versions: Iterable[Version]) -> StoredTrace:
    winners: dict[bytes, Version] = {}
    stored = list(versions)
    for version in stored:
        old = winners.get(version.span_id)
        if old is None or version.rank > old.rank:
            winners[version.span_id] = version
    spans = sorted(winners.values(), key=lambda span: (span.start_ns, span.span_id))
    return StoredTrace(trace_id, spans, stored)
