"""
Which project the spans of a resource belong to.

The first rule that finds a name wins. Names come from clients, so the number of
projects that they can bring into being is bounded; spans of names beyond it go to
the default project rather than being lost.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from threading import Lock
from typing import Final, NamedTuple

from halo_daemon.errors import StorageUnavailableError
from halo_daemon.proto.batch import ProjectOf
from halo_daemon.proto.json_value import Attributes
from halo_daemon.proto.project import Project, project_named

HeaderOf = Callable[[str], str | None]
"""A request's header, or gRPC metadata, by its lower-case name; None when absent."""

Tell = Callable[[str, str], None]
"""Called with an event's name and a project's name, once for each such pair."""

UNKNOWN_SERVICE: Final = "unknown_service"
"""What SDKs send as ``service.name`` when nobody set it; it merges all of them."""

TOO_MANY_PROJECTS: Final = "project_limit_reached"
SERVICE_UNNAMED: Final = "service_name_missing"

_MAX_REMEMBERED: Final = 4096
_MAX_NAME_CHARACTERS: Final = 1024


class Rule(NamedTuple):
    """A place where a project's name may stand; exactly one of the two is set."""

    header: str = ""
    resource: str = ""


DEFAULT_RULES: Final = (
    Rule(header="x-project-name"),
    Rule(resource="openinference.project.name"),
    Rule(resource="service.name"),
)


Known = Callable[[], Collection[str]]
"""The slugs of the projects that exist now."""


def _ignore(_event: str, _name: str) -> None:
    """Tell nobody."""


class ProjectRouter:
    """
    Finds the project of a resource.

    Args:
        rules: Where a name is looked for; the first one that is there wins.
        default: The project of spans that name none.
        max_auto_created: Projects, those that are *known* included, beyond which no new
            name becomes a project.
        known: Asked at most once a request, when a name is new here: another process may
            have created it.
        tell: Told once about each oddity.

    Attributes:
        diverted: Resources sent to the default project, by event.
    """

    def __init__(
        self,
        rules: Sequence[Rule] = DEFAULT_RULES,
        *,
        default: str = "default",
        max_auto_created: int = 100,
        known: Known = tuple,
        tell: Tell = _ignore,
    ) -> None:
        self._rules = tuple(rules)
        self._default = project_named(default)
        self._max_auto_created = max_auto_created
        self._known = known
        self._slugs = set(known())
        self._by_name: dict[str, Project] = {}
        self._tell = tell
        self._told: set[str] = set()
        # Large requests are decoded in threads: a name must not be counted twice.
        self._lock = Lock()
        self.diverted: Counter[str] = Counter()

    def named_by(self, header_of: HeaderOf) -> str | None:
        """The project that a request's headers name; None when they name none."""
        for rule in self._rules:
            if rule.header and (name := (header_of(rule.header) or "").strip()):
                return name
        return None

    def for_request(self, header_of: HeaderOf, *, only: Project | None = None) -> ProjectOf:
        """
        The function that finds the project of each resource of one request.

        Args:
            header_of: The request's headers.
            only: The one project that the sender may write to; nothing else decides then.

        The function raises `StorageUnavailableError` for a name that is new here while
        the known projects cannot be listed.
        """
        if only is not None:
            return lambda _resource: only
        places = [
            (header_of(rule.header) if rule.header else None, rule.resource) for rule in self._rules
        ]

        is_refreshed = False

        def refresh() -> None:
            nonlocal is_refreshed
            if not is_refreshed:
                is_refreshed = True
                try:
                    self._slugs.update(self._known())
                except OSError as exc:  # no descriptor is left, or the disk fails
                    raise StorageUnavailableError(f"cannot look up a new project: {exc}") from exc

        def project_of(resource: Attributes) -> Project:
            for sent, key in places:
                value = resource.get(key) if key else sent
                if isinstance(value, str) and (name := value.strip()):
                    return self._project(name, refresh)
            return self._default

        return project_of

    def _project(self, name: str, refresh: Callable[[], None]) -> Project:
        if name.startswith(UNKNOWN_SERVICE):
            self._note(SERVICE_UNNAMED, name)
        known = self._by_name.get(name)
        if known is not None:
            return known
        project = project_named(name[:_MAX_NAME_CHARACTERS])
        with self._lock:
            if not self._admits(project.slug, refresh):
                self._note(TOO_MANY_PROJECTS, name)
                return self._default
            self._slugs.add(project.slug)
            if len(self._by_name) < _MAX_REMEMBERED:
                self._by_name[name] = project
        return project

    def _admits(self, slug: str, refresh: Callable[[], None]) -> bool:
        if slug in self._slugs or slug == self._default.slug:
            return True
        refresh()
        return slug in self._slugs or len(self._slugs) < self._max_auto_created

    def _note(self, event: str, name: str) -> None:
        self.diverted[event] += 1
        if event not in self._told:
            self._told.add(event)
            self._tell(event, name)
