from halo_daemon.config import NotifyRoute
from halo_daemon.notify.routes import targets_for


def test_the_first_route_takes_the_event():
    """Later routes do not see what an earlier one took; a target is told once."""
    routes = [NotifyRoute(to=("ops", "log", "ops")), NotifyRoute(to=("other",))]

    assert targets_for("report", routes) == ("ops", "log")


def test_without_a_route_nobody_is_told():
    """No configuration, no notification."""
    assert targets_for("report", []) == ()
