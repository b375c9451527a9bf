"""What stands above what in the tree of a trace."""

from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

Id = TypeVar("Id", bound=Hashable)


def spans_above(parents: Mapping[Id, Id | None], calls: Iterable[Id]) -> set[Id]:
    """
    Every span with one of *calls* somewhere below it.

    Args:
        parents: The parent of each span; a parent that is no key is not stored.
        calls: Spans that report usage of their own.

    Returns:
        Ids, among which those of calls are the enclosing ones. Spans of a cycle are not
        above each other, only above what hangs on them. Takes time linear in the spans.
    """
    above: set[Id] = set()
    for call in calls:
        walked: set[Id] = set()
        span = parents.get(call)
        while span is not None and span in parents and not (span in above or span in walked):
            walked.add(span)
            span = parents[span]
        if call not in walked:
            above |= walked
    return above
