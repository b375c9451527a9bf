"""What makes projecting a line twice the same as doing it once: the form of the tables."""

from itertools import product
from typing import NamedTuple

import pytest

from halo_daemon.proto.semconv import project_fields
from halo_daemon.proto.semconv.conventions import CONVENTIONS
from halo_daemon.proto.semconv.conventions.kinds import NOT_ON_TOOLS, ON_RETRIEVERS, ON_TOOLS
from halo_daemon.proto.semconv.rows import FAMILY_SUFFIX, Convention, Row
from halo_daemon.proto.semconv.targets import (
    DOCUMENTS,
    ERROR_TYPE,
    FAILURE,
    FILLED,
    FINISH_REASONS,
    INPUT_MESSAGES,
    INPUT_VALUE,
    KIND,
    KIND_MIRROR,
    KINDS,
    LISTS,
    OUTPUT_MESSAGES,
    OUTPUT_VALUE,
    SCORE_LABEL,
    SCORE_NAME,
    SCORE_REASON,
    SCORE_VALUE,
    TOOL_NAME,
    TOOL_PARAMETERS,
    WEAK_KIND,
)
from tests.unit.proto.semconv.spans import projected

EXCUSED = {
    (KIND, KIND_MIRROR): "it is written last, and says the kind that was found",
    (FAILURE, ERROR_TYPE): "a stored span is judged without the type that its exception filled",
    (INPUT_VALUE, TOOL_PARAMETERS): "events fill both, and a field that is there is not filled",
}
"""Fields answered by a key that something else than a row may fill, and why that is no harm."""

FILLED_OTHERWISE = {
    KIND_MIRROR: KINDS,
    ERROR_TYPE: KINDS,
    TOOL_NAME: ON_TOOLS,
    **dict.fromkeys((TOOL_PARAMETERS, INPUT_VALUE, OUTPUT_VALUE), ON_TOOLS),
    **dict.fromkeys((INPUT_MESSAGES, OUTPUT_MESSAGES, FINISH_REASONS), NOT_ON_TOOLS),
    **dict.fromkeys((SCORE_NAME, SCORE_VALUE, SCORE_LABEL, SCORE_REASON), KINDS),
    DOCUMENTS: ON_RETRIEVERS,
}
"""What events, exceptions, the span's name and its kind fill, by the kinds on which they do."""


class Placed(NamedTuple):
    """One key of a row, and where it stands: the lower place is asked first."""

    place: tuple[int, int, int, int]
    convention: Convention
    row: Row
    key: str

    @property
    def kinds(self):
        """The observation kinds on which it counts."""
        return self.row.only or KINDS


TABLE = [
    Placed((convention.rank, i, j, k), convention, row, key)
    for i, convention in enumerate(CONVENTIONS)
    for j, row in enumerate(convention.rows)
    for k, key in enumerate(row.keys)
]


def filled_by(key):
    """The fields that projection may write under *key*, which may be a family."""
    stem = key.removesuffix(FAMILY_SUFFIX)
    is_family = stem != key
    return {
        field
        for field in (*FILLED, KIND_MIRROR, ERROR_TYPE)
        if stem == field
        or (is_family and field.startswith(f"{stem}."))
        or (field in LISTS and stem.startswith(f"{field}."))
    }


def is_answered_as_well(reader, filler):
    """Whether what fills the key answers the reader's field too: a field that is then there."""
    return any(
        other.row.target == reader.row.target
        and other.key == filler.key
        and other.row.reader is filler.row.reader
        and other.kinds >= filler.kinds
        and (not other.convention.is_gated or other.convention is filler.convention)
        # What is no field to fill is asked for again, and must be answered by the same key.
        and (reader.row.target in FILLED or other.place < reader.place)
        for other in TABLE
    )


def says_its_own_kind(reader, kinds):
    """Whether the reader tells the kind that the key is filled on."""
    return reader.row.target == WEAK_KIND and {reader.row.reader.read("x")} == set(kinds)


READERS = [
    (reader, field) for reader in TABLE for field in filled_by(reader.key) - {reader.row.target}
]


@pytest.mark.parametrize(
    ("reader", "field"),
    READERS,
    ids=[f"{reader.convention.id}: {reader.row.target} of {reader.key}" for reader, _ in READERS],
)
def test_no_row_learns_from_what_a_row_filled(reader, field):
    """A filled key tells no other field more than what it was filled from did."""
    for filler in TABLE:
        if filler.row.target == field and filler.kinds & reader.kinds:
            assert says_its_own_kind(reader, filler.kinds) or is_answered_as_well(reader, filler), (
                filler.convention.id,
                filler.key,
            )


@pytest.mark.parametrize(
    ("reader", "field"),
    READERS,
    ids=[f"{reader.convention.id}: {reader.row.target} of {reader.key}" for reader, _ in READERS],
)
def test_no_row_learns_from_what_events_and_names_filled(reader, field):
    """Neither does what events, exceptions, the name and the kind fill, but for a reason."""
    kinds = FILLED_OTHERWISE.get(field, frozenset())

    assert (
        not kinds & reader.kinds
        or says_its_own_kind(reader, kinds)
        or (reader.row.target, field) in EXCUSED
    )


def test_no_convention_is_known_by_what_is_filled():
    """Filling a field never makes the keys of one more convention count."""
    signs = {sign for convention in CONVENTIONS for sign in convention.signs}

    assert [sign for sign in signs if filled_by(sign)] == []


OWN_KEYS = {
    "halo.aggregate.cached_input_tokens": ("gen_ai.usage.cache_read.input_tokens", 7),
    "halo.aggregate.cost.total": ("gen_ai.usage.cost", 0.5),
    "halo.derived.error": ("error.type", "Boom"),
    "halo.truncated": ("input.value", '[{"role":'),
}


@pytest.mark.parametrize(
    ("key", "kind", "sent"), [*product(OWN_KEYS, ("LLM", "AGENT"), ("mine", 5, False, [1]))]
)
def test_what_a_client_sends_as_a_remark_stays(key, kind, sent):
    """It stands in its place, or under `halo.client.` where the daemon says otherwise."""
    other, value = OWN_KEYS[key]
    line = projected({"openinference.span.kind": kind, key: sent, other: value})
    attributes = line["attributes"]

    assert sent in (attributes[key], attributes.get(f"halo.client.{key}"))
    assert project_fields(line) == line


@pytest.mark.parametrize("sent", ["mine", 5, [], [1, "a"], {"a": 1}])
def test_a_warning_that_is_none_stays_beside_the_own(sent):
    """What was sent as a warning and is no list of codes is kept apart, and codes are added to."""
    line = projected({"halo.ingest.warning": sent}, parent_span_id=b"\1")
    attributes = line["attributes"]

    assert attributes["halo.ingest.warning"][-1] == "invalid_parent_span_id"
    assert attributes["halo.client.halo.ingest.warning"] == sent
    assert project_fields(line) == line
