import pytest

from halo_daemon.config_notify import NotifyRoute, RouteMatch
from halo_daemon.notify.events import Event
from halo_daemon.notify.routes import targets_for


def event(kind="new", severity="medium", project="support-bot"):
    """An event with nothing to say."""
    return Event(kind, "key", b"{}", project, severity)


REPORT = event("report", severity=None)


def test_the_first_route_takes_the_event():
    """Later routes do not see what an earlier one took; a target is told once."""
    routes = [NotifyRoute(to=("ops", "log", "ops")), NotifyRoute(to=("other",))]

    assert targets_for(event(), routes) == ("ops", "log")


def test_without_a_route_nobody_is_told():
    """No configuration, no notification."""
    assert targets_for(event(), []) == ()


def test_a_route_that_goes_on_lets_later_ones_see_the_event():
    """Targets of all routes up to the first that ends are told, each once."""
    routes = [
        NotifyRoute(to=("pager",), goes_on=True),
        NotifyRoute(to=("pager", "log")),
        NotifyRoute(to=("other",)),
    ]

    assert targets_for(event(), routes) == ("pager", "log")


@pytest.mark.parametrize(
    ("happened", "taken"),
    [
        (event("new"), True),
        (event("regressed"), True),
        (event("reopened"), True),
        (event("resolved"), False),
        (event("escalating"), False),
        (REPORT, False),
        (event("failed", severity=None), False),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_a_route_that_names_no_kinds_takes_what_got_worse(happened, taken):
    """New, regressed and reopened findings alert; the rest is asked for by name."""
    assert bool(targets_for(happened, [NotifyRoute(to=("ops",))])) is taken


@pytest.mark.parametrize(
    ("happened", "match", "taken"),
    [
        pytest.param(event(severity="critical"), {"severity": "high"}, True, id="above"),
        pytest.param(event(severity="high"), {"severity": "high"}, True, id="at"),
        pytest.param(event(severity="medium"), {"severity": "high"}, False, id="below"),
        pytest.param(event(severity=None), {"severity": "critical"}, True, id="of-old-ledgers"),
        pytest.param(REPORT, {"severity": "critical"}, True, id="reports-have-none"),
        pytest.param(event(), {"project": "support-*"}, True, id="project"),
        pytest.param(event(), {"project": "research"}, False, id="other-project"),
        pytest.param(REPORT, {"project": "research"}, False, id="report-of-another"),
    ],
)
def test_a_route_takes_what_matches(happened, match, taken):
    """Severity is a lower bound, the project a pattern, and both must hold."""
    route = NotifyRoute(to=("ops",), when=("new", "report"), match=RouteMatch(**match))

    assert targets_for(happened, [route]) == (("ops",) if taken else ())
