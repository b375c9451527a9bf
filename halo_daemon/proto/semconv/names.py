"""The kind of a span by its name, asked when no attribute tells it."""

from functools import lru_cache

from halo_daemon.proto.semconv.conventions import CONVENTIONS
from halo_daemon.proto.semconv.rows import Convention

_MAX_NAMES = 4096


@lru_cache(maxsize=_MAX_NAMES)
def kind_by_name(name: str, scope_name: str) -> str | None:
    """The observation kind that *name* stands for in that scope; None when in no table."""
    for convention in sorted(CONVENTIONS, key=lambda convention: convention.rank):
        if _speaks_in(convention, scope_name):
            for pattern, kind in convention.names:
                stem = pattern.removesuffix("*")
                if name == stem or (stem != pattern and name.startswith(stem)):
                    return kind
    return None


def _speaks_in(convention: Convention, scope_name: str) -> bool:
    return not convention.name_scopes or scope_name.startswith(convention.name_scopes)
