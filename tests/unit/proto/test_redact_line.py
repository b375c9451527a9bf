from functools import partial

import orjson
import pytest

from halo_daemon.proto.redact import hashed_as
from halo_daemon.proto.redact_line import Redaction, masked, without_secrets
from halo_daemon.testing.spans import make_line

_KEY = "sk-proj-" + "a1" * 20
_MASK = "[redacted:api-key]"


def _fields(**changes):
    fields = orjson.loads(make_line())
    fields["attributes"] |= changes.pop("attributes", {})
    return fields | changes


@pytest.mark.parametrize(
    "place",
    [
        lambda text: {"name": text},
        lambda text: {"trace_state": text},
        lambda text: {"status": {"code": "STATUS_CODE_ERROR", "message": text}},
        lambda text: {"attributes": {"a": text}},
        lambda text: {"attributes": {"a": [{"b": text}]}},
        lambda text: {"scope_attributes": {"a": text}},
        lambda text: {"resource": {"attributes": {"a": text}}},
        lambda text: {"events": [{"time": "t", "name": text, "attributes": {"a": text}}]},
        lambda text: {"links": [{"trace_id": "t", "span_id": "s", "attributes": {"a": text}}]},
    ],
)
def test_secrets_are_masked_wherever_a_text_stands(place):
    """Of a line with a key in it, everything is kept but the key."""
    found = Redaction(secrets=masked).line(_fields(**place(f"use {_KEY} now")))

    assert found == _fields(**place(f"use {_MASK} now"))


def test_a_hashed_secret_is_the_same_in_every_place():
    """A key in the name, an attribute and an event is seen to be one key."""
    places = {
        "name": _KEY,
        "attributes": {"a": [_KEY], "b": f"Bearer {_KEY}"},
        "events": [{"time": "t", "name": "e", "attributes": {"a": _KEY}}],
    }
    hashed = partial(masked, mark=partial(hashed_as, b"key"))

    found = Redaction(secrets=hashed).line(_fields(**places))

    mark = found["name"]
    assert mark.startswith("[redacted:api-key#")
    assert found["attributes"]["a"] == [mark]
    assert found["attributes"]["b"] == f"Bearer {mark}"
    assert found["events"][0]["attributes"] == {"a": mark}


def test_attributes_with_secrets_are_left_out_everywhere():
    """Whole attributes go, by value or key; names, messages and attributes of ours are masked."""
    sent = _fields(
        name=f"use {_KEY}",
        status={"code": "STATUS_CODE_ERROR", "message": f"no {_KEY}"},
        attributes={"a": [{"b": _KEY}], _KEY: 1, "inference.agent_name": _KEY, "kept": "x"},
        resource={"attributes": {"r": _KEY, "kept": 1}},
        scope_attributes={"s": _KEY, "kept": 1},
        events=[{"time": "t", "name": _KEY, "attributes": {"e": _KEY, "kept": 2}}],
        links=[{"trace_id": "t", "span_id": "s", "attributes": {"l": _KEY, "kept": 3}}],
    )

    found = Redaction(secrets=without_secrets).line(sent)

    own = {key: value for key, value in sent["attributes"].items() if key.startswith("inference.")}
    assert found == sent | {
        "name": f"use {_MASK}",
        "status": {"code": "STATUS_CODE_ERROR", "message": f"no {_MASK}"},
        "attributes": own | {"inference.agent_name": _MASK, "kept": "x"},
        "resource": {"attributes": {"kept": 1}},
        "scope_attributes": {"kept": 1},
        "events": [{"time": "t", "name": _MASK, "attributes": {"kept": 2}}],
        "links": [{"trace_id": "t", "span_id": "s", "attributes": {"kept": 3}}],
    }


def test_an_allowed_attribute_is_not_left_out():
    """What is stored as it came is stored with its secret."""
    sent = _fields(attributes={"session.id": _KEY, "a": _KEY})

    found = Redaction(secrets=without_secrets, allowed=("session.*",)).line(sent)

    assert found["attributes"]["session.id"] == _KEY
    assert "a" not in found["attributes"]


def test_ids_and_times_are_no_texts():
    """What looks like a secret is left where a line has an id."""
    fields = _fields(trace_id=_KEY, span_id=_KEY, start_time=_KEY)

    assert Redaction(secrets=masked).line(fields) == fields


def test_allowed_attributes_are_stored_as_they_came():
    """A pattern keeps span and resource attributes out of masking, and no others."""
    sent = _fields(
        attributes={"session.id": _KEY, "a": _KEY}, resource={"attributes": {"session.id": _KEY}}
    )

    found = Redaction(secrets=masked, allowed=("session.*",)).line(sent)

    assert found["attributes"]["session.id"] == _KEY
    assert found["attributes"]["a"] == _MASK
    assert found["resource"]["attributes"]["session.id"] == _KEY


def test_dropped_attributes_are_on_no_part_of_the_line():
    """A pattern takes keys out of span, resource, scope, events and links; ours stay."""
    sent = _fields(
        attributes={"h.auth": "x", "kept": 1},
        resource={"attributes": {"h.auth": "x"}},
        scope_attributes={"h.auth": "x"},
        events=[{"time": "t", "name": "e", "attributes": {"h.auth": "x", "kept": 2}}],
        links=[{"trace_id": "t", "span_id": "s", "attributes": {"h.auth": "x"}}],
    )

    found = Redaction(dropped=("h.*", "inference.*")).line(sent)

    assert b"h.auth" not in orjson.dumps(found)
    assert found["attributes"] == {
        key: value for key, value in sent["attributes"].items() if key != "h.auth"
    }
    assert found["events"][0]["attributes"] == {"kept": 2}


def test_nothing_is_taken_out_unless_asked_for():
    """Without rules a line stays as it is."""
    fields = _fields(attributes={"a": _KEY})

    assert not Redaction().is_needed
    assert Redaction().line(fields) == fields
