from pathlib import Path

import jsonschema
import pytest
import yaml

from halo_daemon.config_keys import settings
from halo_daemon.config_schema import config_schema

SAMPLE = Path(__file__).parents[2] / "config" / "halo-daemon.yaml"
VALIDATOR = jsonschema.Draft202012Validator(config_schema())


def test_the_schema_is_a_schema():
    """Editors can read it."""
    jsonschema.Draft202012Validator.check_schema(config_schema())


def test_the_sample_file_fits_the_schema():
    """What the loader accepts, the editor does not underline."""
    VALIDATOR.validate(yaml.safe_load(SAMPLE.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "document",
    [
        {"storage": {"min_free": "lots"}},
        {"storage": {"min_fre": "1GiB"}},
        {"storage": {"min_free": 5}},
        {"telemetry": {"log": {"level": "loud"}}},
        {"version": 2},
        {"notify": {"targets": {"ops": {"type": "webhook"}}}},
    ],
)
def test_a_mistake_does_not_fit(document):
    """Editors underline what the loader refuses."""
    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize(
    "document",
    [
        {"storage": {"min_free": "${env:FREE:-1GiB}"}},
        {"receivers": {"max_spans_per_request": "${env:SPANS}"}},
        {"telemetry": {"log": {"level": "${file:/run/level}"}}},
    ],
)
def test_a_reference_fits_everywhere(document):
    """A value from the environment is not underlined."""
    assert VALIDATOR.is_valid(document)


def _properties(schema):
    if isinstance(schema, dict):
        yield from schema.get("properties", {}).items()
        for inner in schema.values():
            yield from _properties(inner)


def test_every_key_is_described():
    """Sections, too, say what they are for; defaults are written as in a file."""
    found = list(_properties(config_schema()))

    assert [name for name, value in found if not value.get("description")] == []
    assert dict(found)["max_message"]["default"] == "64MiB"
    assert {setting.key.rpartition(".")[2] for setting in settings()} <= set(dict(found))
