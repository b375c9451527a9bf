import pytest

from halo_daemon.analyzer.rules.degenerate import repeated_end
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import observed

RULE = "degenerate_output"


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("The hotel is nice " + "and nice " * 60, "and nice "),
        ("So it is.\n" + "I am sorry, I will try again. " * 20, "I am sorry, I will try again. "),
        ("One.\n" + "- the same line\n" * 40, "- the same line\n"),
        ("The " * 200, "The "),
        ("Das ist so, " + "und so weiter " * 50 + "und so w", "und so weiter "),
        ("好" * 3 + "我不知道，" * 100, "我不知道，"),
        ("Well, " + "one and one, two and one, " * 20, "one and one, two and one, "),
    ],
)
def test_a_phrase_without_end_is_found(text, phrase):
    """Wherever the text breaks off; what is told is the phrase, turned in itself."""
    found = repeated_end(text)

    assert len(found) == len(phrase)
    assert found in phrase * 2


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("and nice " * 30, id="short"),
        pytest.param("x" * 400 + "and nice " * 9, id="nine times"),
        pytest.param(
            "and nice " * 100 + "That is all there is to say of it.", id="and then an end"
        ),
        pytest.param("| a | b |\n" * 100, id="table"),
        pytest.param("yes,no\n" * 100, id="CSV"),
        pytest.param("a\tb\n" * 100, id="columns"),
        pytest.param('{"a": 1}, ' * 100, id="JSON"),
        pytest.param("x = 1\n" * 100, id="code"),
        pytest.param("```\n" + "open door\n" * 100, id="block of code"),
        pytest.param("QUFB" * 200, id="base64"),
        pytest.param("hahaha" * 100, id="one word"),
        pytest.param("0 1 " * 200, id="numbers"),
        pytest.param("-" * 600, id="a line"),
        pytest.param("".join(f"{n}. the same line\n" for n in range(60)), id="a list that counts"),
        pytest.param("", id="nothing"),
    ],
)
def test_other_endings_are_left_alone(text):
    """Too little, an end after all, and what may repeat itself."""
    assert repeated_end(text) == ""


def saying(text, *, role="user", given="Is the hotel nice?", finish="length"):
    """A run whose model says that, after what it was given."""
    script = TraceScript()
    prompt = {
        "llm.input_messages.0.message.role": role,
        "llm.input_messages.0.message.content": given,
    }
    return script.model(text, finish=finish, **prompt).answer("done")


ENDLESS = "The hotel is nice " + "and nice " * 60


def test_one_failure_is_one_finding():
    """A call that repeats itself up to the limit of tokens is not also reported as cut."""
    rules = {rule for rule, _ in observed(saying(ENDLESS))}

    assert RULE in rules
    assert "truncated_output" not in rules
    assert "truncated_output" in {rule for rule, _ in observed(saying("The hotel is"))}


@pytest.mark.parametrize(
    ("text", "role", "given"),
    [
        ("I must not talk. " * 60, "user", "Write 'I must not talk.' sixty times"),
        (ENDLESS, "tool", "and nice and nice and nice and nice and"),
        ("I must not talk. " * 60 + "I must not ta", "user", "Write 'I must not talk' often"),
    ],
)
def test_what_was_asked_for_is_no_failure(text, role, given):
    """A user who wants lines written, and a text that is passed on."""
    assert RULE not in {rule for rule, _ in observed(saying(text, role=role, given=given))}


def test_its_own_words_do_not_excuse_a_model():
    """A conversation that holds an earlier lapse shows the next one as well."""
    script = saying(ENDLESS, role="assistant", given=ENDLESS)

    assert RULE in {rule for rule, _ in observed(script)}
