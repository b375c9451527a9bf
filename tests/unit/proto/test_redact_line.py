import orjson
import pytest

from halo_daemon.proto.redact_line import Redaction
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
    found = Redaction(masks_secrets=True).line(_fields(**place(f"use {_KEY} now")))

    assert found == _fields(**place(f"use {_MASK} now"))


def test_ids_and_times_are_no_texts():
    """What looks like a secret is left where a line has an id."""
    fields = _fields(trace_id=_KEY, span_id=_KEY, start_time=_KEY)

    assert Redaction(masks_secrets=True).line(fields) == fields


def test_allowed_attributes_are_stored_as_they_came():
    """A pattern keeps span and resource attributes out of masking, and no others."""
    sent = _fields(
        attributes={"session.id": _KEY, "a": _KEY}, resource={"attributes": {"session.id": _KEY}}
    )

    found = Redaction(masks_secrets=True, allowed=("session.*",)).line(sent)

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
