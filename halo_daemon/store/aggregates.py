"""Figures over groups of spans; pure."""

from array import array
from collections.abc import Iterable
from typing import Any

from halo_daemon.store.query import AggregateAnswer, AggregateQuery, AggregateRow, Bucket, Dimension

Row = tuple[Any, ...]
"""A row of `span_sql.RECORD_COLUMNS`, then stem and offset."""

_LENGTH = 22
_ENCLOSES = 25
_ALWAYS = frozenset({0, 16, 17, 18, 19, 20, 21, _LENGTH, _ENCLOSES})
"""What every group adds up, and the length by which lines are read."""

_BUCKET_NS = {Bucket.HOUR: 3_600 * 10**9, Bucket.DAY: 86_400 * 10**9}
_COLUMN = {
    Dimension.NAME: 3,
    Dimension.KIND: 5,
    Dimension.TOOL: 6,
    Dimension.MODEL: 7,
    Dimension.PROVIDER: 8,
    Dimension.AGENT: 9,
    Dimension.SERVICE: 10,
    Dimension.VERSION: 11,
    Dimension.SESSION: 12,
    Dimension.USER: 13,
    Dimension.STATUS: 14,
    Dimension.ERROR_TYPE: 15,
}


def places_for(query: AggregateQuery) -> frozenset[int]:
    """Places in a row that *query* looks at."""
    return _ALWAYS | {_COLUMN[dimension] for dimension in query.group_by}


class _Group:
    """The running figures of one group."""

    __slots__ = ("cost_usd", "durations_ms", "errors", "input_tokens", "output_tokens", "traces")

    def __init__(self) -> None:
        self.traces: set[bytes] = set()
        self.durations_ms = array("d")
        self.errors = self.input_tokens = self.output_tokens = 0
        self.cost_usd = 0.0

    def add(self, row: Row) -> None:
        """Count one span."""
        start_ns, end_ns = row[17], row[18]
        self.traces.add(row[0])
        self.durations_ms.append(max(0, end_ns - start_ns) / 1e6 if end_ns else 0.0)
        self.errors += row[16] != 0
        if not row[_ENCLOSES]:
            self.input_tokens += row[19] or 0
            self.output_tokens += row[20] or 0
            self.cost_usd += row[21] or 0.0

    def figures(self, key: tuple[str, ...], bucket_unix_ns: int | None) -> AggregateRow:
        """The finished row."""
        durations = sorted(self.durations_ms)
        return AggregateRow(
            key=key,
            bucket_unix_ns=bucket_unix_ns,
            spans=len(durations),
            traces=len(self.traces),
            errors=self.errors,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cost_usd=self.cost_usd,
            duration_ms_sum=sum(durations),
            duration_ms_p50=quantile(durations, 0.50),
            duration_ms_p95=quantile(durations, 0.95),
            duration_ms_max=durations[-1],
        )


def quantile(ascending: list[float], share: float) -> float:
    """The smallest value that at least *share* of all values do not exceed; not of nothing."""
    return ascending[max(0, -int(-share * len(ascending) // 1) - 1)]


def aggregate_rows(rows: Iterable[Row], query: AggregateQuery) -> AggregateAnswer:
    """Group rows and add them up."""
    columns = [_COLUMN[dimension] for dimension in query.group_by]
    width_ns = _BUCKET_NS[query.bucket] if query.bucket else 0
    groups: dict[tuple[int | None, tuple[str, ...]], _Group] = {}
    for row in rows:
        bucket = row[17] // width_ns * width_ns if width_ns else None
        key = tuple(row[column] or "" for column in columns)
        group = groups.get((bucket, key))
        if group is None:
            group = groups[bucket, key] = _Group()
        group.add(row)
    ordered = sorted(
        groups.items(),
        key=lambda item: (-len(item[1].durations_ms), item[0][0] or 0, item[0][1]),
    )
    listed = ordered[: query.top]
    return AggregateAnswer(
        rows=tuple(group.figures(key, bucket) for (bucket, key), group in listed),
        groups=len(ordered),
        other_spans=sum(len(group.durations_ms) for _, group in ordered[query.top :]),
    )
