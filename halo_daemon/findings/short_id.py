"""Finding ids as people read them."""

from collections.abc import Iterable

MIN_SHORT_CHARS = 4
_PREFIX = "F-"


def short_ids(finding_ids: Iterable[str]) -> dict[str, str]:
    """
    Shorten every id to its shortest prefix that no other one has, ``F-`` and 4 or more.

    Empty for no ids.
    """
    ordered = sorted(set(finding_ids))
    shortened = {}
    for place, finding_id in enumerate(ordered):
        neighbours = ordered[max(0, place - 1) : place] + ordered[place + 1 : place + 2]
        shared = max((_shared_prefix(finding_id, other) for other in neighbours), default=0)
        shortened[finding_id] = finding_id[: max(shared + 1, len(_PREFIX) + MIN_SHORT_CHARS)]
    return shortened


def _shared_prefix(left: str, right: str) -> int:
    pairs = zip(left, right, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))
