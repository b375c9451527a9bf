import copy

import pytest

from halo_daemon.proto.semconv import project_fields
from tests.unit.proto.semconv.spans import projected

CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.response.model": "small",
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 2,
    "gen_ai.input.messages": '[{"role":"user","content":"hi"}]',
}


def written_by_an_older_mapping(line, **changes):
    """The same line as a mapping wrote it that knew less."""
    older = copy.deepcopy(line)
    attributes = older["attributes"]
    for key in [key for key in attributes if key.startswith(("llm.", "openinference."))]:
        del attributes[key]
    for key, value in changes.items():
        attributes[f"inference.{key}"] = value
    return older


def test_a_newer_mapping_fills_what_an_older_one_left_out():
    """Kind, model, tokens and messages of today are read from the raw attributes."""
    line = projected(CHAT)
    older = written_by_an_older_mapping(
        line,
        observation_kind="SPAN",
        **{"llm.model_name": None, "llm.input_tokens": None, "llm.output_tokens": None},
    )

    assert project_fields(older) == line


def test_a_wrong_value_of_an_older_mapping_is_corrected():
    """What the raw attributes tell wins over what was written from them before."""
    line = projected(CHAT)
    older = written_by_an_older_mapping(line, **{"llm.input_tokens": 999, "llm.model_name": "x"})

    assert project_fields(older) == line


def test_what_only_the_line_knows_is_kept():
    """A value that no raw attribute tells stays."""
    line = projected(CHAT)
    line["attributes"]["inference.user_id"] = "user-1"

    assert project_fields(line) == line


def test_remarks_and_repairs_are_kept():
    """Warnings, totals and flags of the first writing survive."""
    line = projected(
        {"openinference.span.kind": "AGENT", "llm.token_count.prompt": 5, "error.type": "Boom"},
        parent_span_id=b"\1",
    )

    again = project_fields(line)

    assert again == line
    assert again["attributes"]["halo.ingest.warning"] == ["invalid_parent_span_id"]


def test_the_line_that_is_read_is_not_changed():
    """Projecting is pure: the argument stays as it was."""
    line = projected(CHAT)
    before = copy.deepcopy(line)

    project_fields(line)

    assert line == before


@pytest.mark.parametrize(
    "fields", [{}, {"attributes": {}}, {"attributes": {"inference.project_id": 1}}]
)
def test_what_is_no_line_is_refused(fields):
    """A JSON object that is not a canonical span raises, and is not half projected."""
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        project_fields(fields)
