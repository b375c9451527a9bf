import json

import jsonschema
import pytest
from pydantic import ValidationError

from halo_daemon.findings import (
    Finding,
    Report,
    RunBlock,
    WindowBlock,
    from_json,
    report_schema,
    severity_rank,
    short_ids,
    to_json,
)

INSTANT = "2026-11-20T10:00:00.000000000Z"


def report(**changes):
    """The smallest report."""
    fields = {
        "report_id": "r_1",
        "project": "support",
        "created_at": INSTANT,
        "run": RunBlock(id="run_1", started_at=INSTANT),
        "window": WindowBlock(from_=INSTANT, to=INSTANT),
    }
    return Report(**(fields | changes))


def finding(**changes):
    """The smallest finding."""
    fields = {
        "finding_id": "F-7Q2K9M3XH4TA",
        "title": "t",
        "category": "other",
        "source": "rule:x@1",
    }
    return Finding(**(fields | changes))


def test_an_empty_report_has_every_block():
    """Blocks with nothing to say are empty lists, never missing and never null."""
    document = json.loads(to_json(report()))

    assert document["schema_version"] == "halo.report/1"
    for block in ("findings", "traces", "weak_signals", "unverified_claims", "release_diff"):
        assert document[block] == []
    assert document["window"]["from"] == INSTANT


def test_a_report_survives_its_own_bytes():
    """Reading what was written gives an equal report and equal bytes again."""
    written = to_json(report(findings=(finding(),)))

    again = from_json(written)

    assert again == report(findings=(finding(),))
    assert to_json(again) == written


def test_readers_ignore_fields_of_later_versions():
    """The schema only grows, so an unknown field is no error."""
    document = json.loads(to_json(report()))
    document["brand_new"] = {"x": 1}

    assert from_json(json.dumps(document).encode()) == report()


def test_every_report_fits_the_published_schema():
    """The JSON Schema accepts what `to_json` writes."""
    jsonschema.validate(json.loads(to_json(report(findings=(finding(),)))), report_schema())


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"finding_id": "F-123"}, id="short id"),
        pytest.param({"finding_id": "F-IIIIIIIIIIII"}, id="letters outside the alphabet"),
        pytest.param({"severity": "bad"}, id="unknown severity"),
        pytest.param({"confidence": 1.5}, id="confidence above one"),
        pytest.param({"state": "status"}, id="unknown state"),
    ],
)
def test_a_finding_refuses_what_it_cannot_mean(changes):
    """Values outside their range are errors, not findings."""
    with pytest.raises(ValidationError):
        finding(**changes)


def test_severities_are_ordered():
    """Critical comes first, info last."""
    shuffled = ["info", "low", "critical", "medium", "high"]

    assert sorted(shuffled, key=severity_rank) == ["critical", "high", "medium", "low", "info"]


def test_short_ids_are_unique_prefixes():
    """Ids are cut to four characters or to where they differ, whichever is longer."""
    shortened = short_ids(["F-7Q2K9M3XH4TA", "F-7Q2K9M3ZZZZZ", "F-ABCDEFGHJKMN"])

    assert shortened["F-ABCDEFGHJKMN"] == "F-ABCD"
    assert shortened["F-7Q2K9M3XH4TA"] == "F-7Q2K9M3X"
    assert shortened["F-7Q2K9M3ZZZZZ"] == "F-7Q2K9M3Z"
    assert short_ids([]) == {}
