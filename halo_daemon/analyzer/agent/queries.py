"""The counts of a run that a finding may cite, under an id that depends on the question alone."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple


class QueryCounts(NamedTuple):
    """What a query found."""

    affected_traces: int
    eligible_traces: int
    """Traces that could have matched."""


@dataclass(slots=True)
class QueryLog:
    """The queries of a run, by id."""

    _counts: dict[str, QueryCounts] = field(default_factory=dict)
    _deferred: list[Callable[[], object]] = field(default_factory=list)
    _asking: threading.Lock = field(default_factory=threading.Lock)

    def remember(self, tool: str, question: str, affected: int, eligible: int) -> str:
        """Keep what a query found; the same question has the same id."""
        digest = hashlib.sha256(f"{tool}\0{question}".encode()).hexdigest()[:12]
        query_id = f"q_{digest}"
        self._counts[query_id] = QueryCounts(affected, eligible)
        return query_id

    def defer(self, ask_again: Callable[[], object]) -> None:
        """Note a query that was answered before the run was resumed; it is asked when needed."""
        self._deferred.append(ask_again)

    def find(self, query_id: str) -> QueryCounts | None:
        """What the query found; None when there is none of that id. Safe from any thread."""
        with self._asking:
            while query_id not in self._counts and self._deferred:
                self._deferred.pop(0)()
            return self._counts.get(query_id)
