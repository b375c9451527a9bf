import pytest
from hypothesis import given, strategies as st

from halo_daemon.config_yaml import Node, Place, read_document, read_scalar, read_value


def _plain(node: Node):
    if isinstance(node.content, dict):
        return {key: _plain(member.node) for key, member in node.content.items()}
    if isinstance(node.content, list):
        return [_plain(item) for item in node.content]
    return node.content


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("22:00", "22:00"),
        ("1:30:00", "1:30:00"),
        ("on", "on"),
        ("no", "no"),
        ("010", "010"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("1e3", "1e3"),
        ("2026-11-20", "2026-11-20"),
        ("=", "="),
        ("<<", "<<"),
        (".inf", ".inf"),
        ("9" * 30, "9" * 30),
        ("-7", -7),
        ("1.5", 1.5),
        ("TRUE", True),
        ("false", False),
        ("~", None),
        ("", None),
    ],
)
def test_only_plain_numbers_booleans_and_null_are_typed(text, value):
    """What YAML 1.1 would turn into times, dates and booleans stays text."""
    root, problems = read_document(f"key: {text}\n", "x.yaml")

    assert (_plain(root), problems) == ({"key": value}, [])


@pytest.mark.parametrize("text", ['"12"', "'true'", '"~"'])
def test_quotes_make_text(text):
    """A quoted scalar is text whatever it looks like."""
    root, _ = read_document(f"key: {text}", "x.yaml")

    assert _plain(root) == {"key": text[1:-1]}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", 'x.yaml:3:1: duplicate key "a" (first at line 1)'),
        ("s:\n  a: 1\n  a: 3\n", 'x.yaml:3:3: s: duplicate key "a" (first at line 2)'),
        ("a: &x 1\n", "x.yaml:1:4: anchors are refused"),
        ("a: !!int 1\n", "x.yaml:1:4: tags are refused"),
        ("- a\n", "x.yaml:1:1: the file is not a mapping of keys to values"),
        ("a: 1\n---\nb: 2\n", "x.yaml:2:1: but found another document"),
        ("a:\n\tb: 1\n", "x.yaml:2:1: found character '\\t' that cannot start any token"),
        ("? [a]\n: 1\n", "x.yaml:1:3: a key is text, not a list or a mapping"),
        ("a: " + "[" * 1000, "x.yaml:1:23: deeper than 20 levels"),
        ("a: [" + "1," * 20_001 + "]", "more than 20000 values"),
        ("#" * 2**21, "x.yaml:1:1: 2097152 characters are above the most, 1048576"),
        ("a: \x00", "unacceptable character"),
    ],
)
def test_a_mistake_of_form_is_told_with_its_place(text, problem):
    """Every mistake of form names line and column."""
    _, problems = read_document(text, "x.yaml")

    assert len(problems) == 1
    assert problem in str(problems[0])


def test_an_alias_cannot_make_a_file_explode():
    """Aliases are refused one by one, and nothing is multiplied."""
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]

    _, problems = read_document("\n".join(lines), "x.yaml")

    assert len(problems) == 40 + 2 * 39


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~\n"])
def test_an_empty_file_is_an_empty_mapping(text):
    """A file of comments alone sets nothing."""
    root, problems = read_document(text, "x.yaml")

    assert (_plain(root), problems) == ({}, [])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[a, 1]", ["a", 1]),
        ("[::1]:4317", "[::1]:4317"),
        ("@daily", "@daily"),
        ('"7"', "7"),
        ("7", 7),
    ],
)
def test_a_single_value_is_read_without_a_document(text, value):
    """Lists and quoted texts are YAML; an address in brackets is text."""
    assert _plain(read_value(text, Place(1, "VARIABLE"))) == value


@given(st.text(max_size=200))
def test_any_text_is_a_tree_or_problems(text):
    """No text makes the reader raise."""
    root, problems = read_document(text, "x.yaml")

    assert isinstance(root.content, dict)
    assert all(str(problem).startswith("x.yaml:") for problem in problems)


@given(st.text(max_size=30))
def test_a_scalar_that_is_not_typed_stays_as_it_is(text):
    """Text is never changed by typing."""
    value = read_scalar(text)

    assert value is None or isinstance(value, (bool, int, float)) or value == text
