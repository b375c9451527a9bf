"""Which event goes to which targets; pure."""

from collections.abc import Sequence

from halo_daemon.config import NotifyRoute
from halo_daemon.notify.events import EventKind


def targets_for(kind: EventKind, routes: Sequence[NotifyRoute]) -> tuple[str, ...]:
    """Names of the targets of the first route for *kind*, each once; empty when there is none."""
    route = next((route for route in routes if kind in route.when), None)
    return tuple(dict.fromkeys(route.to)) if route else ()
