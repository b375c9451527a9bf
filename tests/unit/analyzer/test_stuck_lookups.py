import pytest

from halo_daemon.analyzer.miner import mine
from halo_daemon.analyzer.settings import MinerSettings
from tests.unit.analyzer.analysis import observed
from tests.unit.analyzer.test_rules import calls

RULE = "stuck_lookup"
HOTELS = '[{"id": "H-11111", "name": "Hotel Central Vienna"}]'
CITIES = ("Lisbon", "Porto", "Ghent")


def asking(tool, key, values, result=HOTELS, **more):
    """One call for each value, all with that result."""
    return calls(*((tool, {key: value, **more}, result) for value in values))


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(asking("find_hotels", "city", CITIES, night="2026-12-12"), id="cities"),
        pytest.param(
            calls(
                *(("find_hotels", {"city": city}, HOTELS) for city in CITIES),
                ("find_hotels", {"city": "Graz"}, "[1]"),
            ),
            id="three of four",
        ),
        pytest.param(asking("get_order", "order_id", (48213, 51877, 90210)), id="numbers"),
        pytest.param(
            asking("get_order", "order_id", ("A-48213", "A-51877", "A-90210", "A-77120")),
            id="ids that look alike",
        ),
        pytest.param(
            asking("get_rate", "hotel_id", ("H-1", "H-2", "H-3"), '{"hotel_id": "H-1", "eur": 90}'),
            id="the record names another",
        ),
        pytest.param(
            asking("weather", "city", CITIES, '{"city": "Lisbon", "sky": "clear", "temp": 9}'),
            id="what the first one asked for",
        ),
        pytest.param(
            asking("find_hotels", "city", CITIES, '{"id": "H-11111", "pets": "no", "spa": null}'),
            id="a record with a no in it",
        ),
        pytest.param(
            asking(
                "find_hotels", "city", CITIES, "Hotel Central, Stephansplatz, quiet rooms. " * 3
            ),
            id="prose",
        ),
    ],
)
def test_one_result_for_different_things_is_found(script):
    """Three in a row that cannot all be right; it is not reported as a loop."""
    rules = {rule for rule, _ in observed(script)}

    assert RULE in rules
    assert "near_repeat" not in rules


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(asking("find_hotels", "city", CITIES[:2]), id="twice"),
        pytest.param(asking("find_hotels", "city", ["Lisbon"] * 3), id="one thing"),
        pytest.param(asking("find_hotels", "city", ("Lisbon", "Lisboa", "LISBON PT")), id="names"),
        pytest.param(asking("find_hotels", "city", ("LIS", "Lisbon", "Lisbon city")), id="codes"),
        pytest.param(asking("search", "query", ("refund", "money", "return")), id="words"),
        pytest.param(asking("find_hotels", "page", ("a1", "b2", "c3")), id="pages"),
        pytest.param(
            asking("find_hotels", "night", ("2026-12-12", "2026-12-13", "2026-12-14")), id="days"
        ),
        pytest.param(asking("find_hotels", "people", (1, 2, 3)), id="small numbers"),
        pytest.param(asking("visa_rules", "country", CITIES), id="rules for all"),
        pytest.param(asking("get_customer", "order_id", (48213, 51877, 90210)), id="one customer"),
        pytest.param(asking("find_hotels", "city", CITIES, "[]"), id="nothing found"),
        pytest.param(asking("find_hotels", "city", CITIES, "no hotels there " * 9), id="in words"),
        pytest.param(asking("find_hotels", "city", CITIES, '{"ok": true}'), id="a status"),
        pytest.param(
            asking("find_hotels", "city", CITIES, '{"code": 40400, "message": "no hotels"}'),
            id="in words of a record",
        ),
        pytest.param(
            asking("find_hotels", "city", CITIES, '{"took_us": 12345, "hotels": []}'),
            id="an empty list",
        ),
        pytest.param(asking("find_hotels", "city", CITIES, ""), id="nothing recorded"),
        pytest.param(asking("find_hotels", "city", CITIES, "!timed out"), id="an error"),
        pytest.param(asking("book_hotel", "city", CITIES), id="a write"),
        pytest.param(
            asking("find_hotels", "city", CITIES, f'{{"id": 48213, "near": "{CITIES}"}}'),
            id="a list of all",
        ),
        pytest.param(
            calls(*(("find_hotels", {"city": city}, f"{HOTELS}{city}") for city in CITIES)),
            id="other results",
        ),
    ],
)
def test_one_result_that_may_be_right_is_left_alone(script):
    """One thing in other words, what many share, and results that say nothing."""
    assert RULE not in {rule for rule, _ in observed(script)}


def test_it_cites_what_was_asked_and_what_came():
    """The last result, and the arguments of the first and the last call."""
    known = mine([asking("find_hotels", "city", CITIES).build()], MinerSettings())

    [group] = [group for key, group in known.groups.items() if key.rule == RULE]
    [case] = group.unrecovered
    assert {HOTELS, '{"city":"Lisbon"}', '{"city":"Ghent"}'} <= {c.text for c in case.quotes}
