"""Conditions on spans, as people write them."""

import pytest
from hypothesis import given, strategies as st

from halo_daemon.cli.where import is_condition, parse_where
from halo_daemon.errors import ConfigError, HaloError, QueryError
from halo_daemon.proto.span import Span
from halo_daemon.testing.spans import make_line

SPAN = Span.from_line(
    make_line(
        name="call it",
        observation_kind="TOOL",
        status_code="STATUS_CODE_ERROR",
        attributes={
            "tool.name": "search_orders",
            "retries": 3,
            "ok": False,
            "output.value": 'no "hits"',
            "inference.llm.input_tokens": 10,
        },
    )
)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("status=error", True),
        ("status=ERROR and tool~search", True),
        ("status=error and tool~^orders", False),
        ("tool~ORDERS$", True),
        ("(tool~(orders|refunds)$) and status=error", True),
        ("tool!~orders or kind=tool", True),
        ("not status=error", False),
        ("not (status=ok or kind=llm)", True),
        ("status=ok or status=error and kind=tool", True),
        ("(status=ok or status=error) and kind=llm", False),
        ("retries>2 and retries<=3", True),
        ("retries>=3.5", False),
        ("attributes.retries=3", True),
        ("ok=false", True),
        ("duration>=1s", True),
        ("duration<500ms", False),
        ("duration>999", True),
        ("tokens=10", True),
        ("cost>0", False),
        ("missing=1", False),
        ("missing!=1", True),
        ("missing!~x", True),
        ("missing<1", False),
        ('name="call it"', True),
        ("name='CALL IT'", True),
        (r'output="no \"hits\""', True),
        ("resource.service.name~.", True),
        ("service=support-bot", True),
        ("  status = error  ", True),
    ],
)
def test_conditions_hold_as_they_read(text, holds):
    """Fields, operators, brackets and precedence mean what they say."""
    assert parse_where(text)(SPAN) is holds


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", 1),
        ("status", 7),
        ("status=", 8),
        ("=error", 1),
        ("status=error and", 17),
        ("(status=error", 14),
        ("status=error)", 13),
        ("status=error tool=x", 14),
        ("duration>soon", 10),
        ('name="open', 6),
        ("retries>x", 9),
        ("status==error", 8),
        ("not " * 60 + "a=1", 205),
    ],
)
def test_what_is_no_condition_is_told_with_its_column(text, column):
    """The message names the column, and a hint shows what is meant."""
    with pytest.raises(ConfigError, match=rf"column {column}\b") as caught:
        parse_where(text)

    assert "status=error" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("status=banana", "column 8: `banana` is no status: error, ok, unset"),
        ("tool~x and not Status != broken", "column 26: `broken` is no status: error, ok, unset"),
        ("kind=tol", "column 6: `tol` is no kind: agent, chain, "),
    ],
)
def test_an_unknown_word_of_a_closed_set_is_told_with_the_known_ones(text, told):
    """What can never hold does not read as "there is none"."""
    with pytest.raises(ConfigError) as caught:
        parse_where(text)

    assert told in str(caught.value)


@pytest.mark.parametrize(
    "text", ["status=OK", "kind!=Retriever", "status~ban", "attributes.kind=x"]
)
def test_patterns_and_attributes_take_any_word(text):
    """Only the fields of closed sets, and only equality, are held to them."""
    parse_where(text)


def test_a_pattern_that_re2_refuses_is_told():
    """Look-around does not get through the back door."""
    with pytest.raises(QueryError):
        parse_where("name~(?=x)")


@given(st.text(alphabet="ab=~!<>() \"'and or not1.", max_size=40))
def test_no_text_ends_otherwise(text):
    """Any text is a condition or a typed error, and a condition answers for any span."""
    try:
        holds = parse_where(text)
    except HaloError:
        return
    assert holds(SPAN) in {True, False}


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("status=error", True),
        ("not (tool~x)", True),
        ("(status = error)", True),
        ("duration>2s", True),
        ("attributes.a.b=1", True),
        ("error", False),
        ("a=b", False),
        (r"status: \d+", False),
    ],
)
def test_conditions_are_told_from_patterns(text, is_one):
    """Only what begins with a field and an operator is a condition."""
    assert is_condition(text) is is_one
