from itertools import pairwise

import orjson
import pytest

from halo_daemon.proto.semconv import project_fields
from halo_daemon.proto.semconv.conventions import CONVENTIONS
from halo_daemon.proto.semconv.readers import COUNT, NUMBER, TEXT
from halo_daemon.proto.semconv.rows import FAMILY_SUFFIX
from halo_daemon.proto.semconv.targets import (
    AGENT_ID,
    AGENT_NAME,
    KIND,
    MODEL,
    PROVIDER,
    SCALARS,
    SESSION,
    USER,
)
from tests.unit.proto.semconv.convention_cases import CASES
from tests.unit.proto.semconv.spans import projected

_SHORT = ("inference.observation_kind", "inference.llm.", "inference.")


def known(stored):
    """The keys of every line by their last part, and all other keys as they are."""
    names = {}
    for key, value in stored.items():
        if key == _SHORT[0]:
            names["kind"] = value
        elif key.startswith(_SHORT[2]):
            names[key.removeprefix(_SHORT[2]).removeprefix("llm.")] = value
        else:
            names[key] = value
    return names


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_producer_is_understood(case):
    """What a producer writes is known under the canonical fields, from both encodings."""
    line = projected(case.attributes, name=case.name, scope=case.scope, events=case.events)
    found = known(line["attributes"])

    assert {key: found.get(key) for key in case.expected} == case.expected


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_was_understood_is_understood_again(case):
    """Projecting the line of any producer once more changes nothing."""
    line = projected(case.attributes, name=case.name, scope=case.scope, events=case.events)

    assert orjson.dumps(project_fields(line)) == orjson.dumps(line)


def free_rows(target):
    """Keys that answer *target* with any text or number on every span, best first."""
    ordered = sorted(CONVENTIONS, key=lambda convention: convention.rank)
    found = [
        key
        for convention in ordered
        if not convention.is_gated
        for row in convention.rows
        if row.target == target and row.only is None and row.reader in {TEXT, COUNT, NUMBER}
        for key in row.keys
        if not key.endswith(FAMILY_SUFFIX)
    ]
    return [*dict.fromkeys(found)]


@pytest.mark.parametrize("target", [t for t in SCALARS if len(free_rows(t)) > 1])
def test_the_better_of_two_keys_wins(target):
    """Field by field, of any two keys on one span the one of lower rank is taken."""
    keys = free_rows(target)
    is_text = target in {PROVIDER, MODEL, USER, SESSION, AGENT_NAME, AGENT_ID}

    for place, (better, worse) in enumerate(pairwise(keys), start=1):
        values = {worse: "worse" if is_text else 2 * place, better: "better" if is_text else place}
        stored = projected({KIND: "LLM", **values})["attributes"]

        assert stored[target] == values[better], (better, worse)
