"""Which event goes to which targets; pure."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from halo_daemon.config_notify import NotifyRoute, RouteMatch
from halo_daemon.findings import severity_rank
from halo_daemon.notify.events import Event


def targets_for(event: Event, routes: Sequence[NotifyRoute]) -> tuple[str, ...]:
    """
    Names of the targets of *event*, each once, in the order of routes; empty when none takes it.

    The first route that matches is the last that is asked, unless it goes on.
    """
    names: list[str] = []
    for route in routes:
        if event.kind in route.when and _matches(event, route.match):
            names += route.to
            if not route.goes_on:
                break
    return tuple(dict.fromkeys(names))


def _matches(event: Event, match: RouteMatch) -> bool:
    if not fnmatchcase(event.project, match.project):
        return False
    if event.severity is None:
        return True
    return severity_rank(event.severity) <= severity_rank(match.severity)
