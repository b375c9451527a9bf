import pytest

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
