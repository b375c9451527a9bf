import pytest

from halo_daemon.errors import StorageUnavailableError
from halo_daemon.proto.project import Project
from halo_daemon.receiver.routing import (
    SERVICE_UNNAMED,
    TOO_MANY_PROJECTS,
    ProjectRouter,
    Rule,
)

NO_HEADERS = {}.get


def _headers(**values):
    return {name.replace("_", "-"): value for name, value in values.items()}.get


@pytest.mark.parametrize(
    ("header_of", "resource", "slug"),
    [
        pytest.param(
            _headers(x_project_name="H"),
            {"openinference.project.name": "O", "service.name": "S"},
            "h",
            id="header",
        ),
        pytest.param(
            NO_HEADERS, {"openinference.project.name": "O", "service.name": "S"}, "o", id="project"
        ),
        pytest.param(NO_HEADERS, {"service.name": "S"}, "s", id="service"),
        pytest.param(NO_HEADERS, {}, "default", id="default"),
        pytest.param(_headers(x_project_name="  "), {"service.name": "S"}, "s", id="blank-header"),
        pytest.param(NO_HEADERS, {"service.name": 5}, "default", id="not-text"),
        pytest.param(NO_HEADERS, {"service.name": ["a"]}, "default", id="a-list"),
    ],
)
def test_the_first_rule_that_finds_a_name_wins(header_of, resource, slug):
    """Header, then the project's attribute, then the service, then the default."""
    project = ProjectRouter().for_request(header_of)(resource)

    assert project.slug == slug


def test_rules_and_default_are_configurable():
    """Other places and another default can be named."""
    router = ProjectRouter([Rule(resource="team")], default="Rest")

    route = router.for_request(_headers(x_project_name="ignored"))

    assert route({"team": "A"}) == Project("a", "A")
    assert route({}) == Project("rest", "Rest")


def test_beyond_the_bound_new_names_go_to_the_default_project_and_are_told_once():
    """Names that were there before still work; each diverted resource is counted."""
    told = []
    router = ProjectRouter(
        max_auto_created=2,
        known=lambda: ["old"],
        tell=lambda event, name: told.append((event, name)),
    )
    route = router.for_request(NO_HEADERS)

    slugs = [
        route({"service.name": name}).slug for name in ("new", "newer", "newest", "old", "new")
    ]

    assert slugs == ["new", "default", "default", "old", "new"]
    assert router.diverted[TOO_MANY_PROJECTS] == 2
    assert told == [(TOO_MANY_PROJECTS, "newer")]


def test_projects_that_another_process_created_count_and_are_found():
    """A name that came into being elsewhere works, and takes a place; it is asked for once."""
    elsewhere: list[str] = []
    asked = []

    def known():
        asked.append(len(elsewhere))
        return elsewhere

    router = ProjectRouter(max_auto_created=2, known=known)
    elsewhere += ["theirs", "theirs-too"]

    route = router.for_request(NO_HEADERS)
    slugs = [route({"service.name": name}).slug for name in ("ours", "theirs-too", "a", "b")]

    assert slugs == ["default", "theirs-too", "default", "default"]
    assert asked == [0, 2]


def test_a_new_project_is_for_later_while_the_known_ones_cannot_be_listed():
    """What cannot be looked up now is refused with a retry, and taken when it can again."""
    listings = iter([(), OSError(24, "Too many open files"), ()])

    def known():
        listing = next(listings)
        if isinstance(listing, OSError):
            raise listing
        return listing

    router = ProjectRouter(known=known)

    with pytest.raises(StorageUnavailableError, match="Too many open files"):
        router.for_request(NO_HEADERS)({"service.name": "new"})

    assert router.for_request(NO_HEADERS)({"service.name": "new"}).slug == "new"


def test_a_service_that_nobody_named_is_told_once_and_counted():
    """The SDK's placeholder is a project like any other, with a warning."""
    told = []
    router = ProjectRouter(tell=lambda *oddity: told.append(oddity))
    route = router.for_request(NO_HEADERS)

    slugs = {route({"service.name": "unknown_service:python"}).slug for _ in range(3)}

    assert len(slugs) == 1
    assert router.diverted[SERVICE_UNNAMED] == 3
    assert told == [(SERVICE_UNNAMED, "unknown_service:python")]


def test_two_spellings_of_a_project_count_once():
    """Names that share a slug share the place in the bound."""
    router = ProjectRouter(max_auto_created=1)
    route = router.for_request(NO_HEADERS)

    assert route({"service.name": "Bot"}).slug == route({"service.name": "bot"}).slug == "bot"
