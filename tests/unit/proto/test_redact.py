import string
from functools import partial

import pytest
from hypothesis import given, settings, strategies as st

from halo_daemon.analyzer.masking import template_of
from halo_daemon.proto.redact import hashed_as, masked_as, redact_text, redact_value

KEY = "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"use sk-proj-{KEY} now", "use [redacted:api-key] now"),
        (f"sk-{KEY}", "[redacted:api-key]"),
        (f"gsk_{KEY}", "[redacted:api-key]"),
        ("id AKIAABCDEFGHIJKLMNOP.", "id [redacted:aws-key]."),
        (f"ghp_{KEY}", "[redacted:github-token]"),
        ("xoxb-1234567890-abcdef", "[redacted:slack-token]"),
        (f"AIza{KEY[:35]}", "[redacted:google-key]"),
        (f"Authorization: Bearer {KEY}", "Authorization: Bearer [redacted:bearer-token]"),
        ('{"password": "hunter2-x"}', '{"password": "[redacted:password]"}'),
        ("API_KEY=abcdef123456", "API_KEY=[redacted:password]"),
        ("postgres://app:s3cr3t@db/x", "postgres://app:[redacted:url-password]@db/x"),
        ("eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSMeKKF2Q", "[redacted:jwt]"),
        ("card 4111 1111 1111 1111!", "card [redacted:card]!"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
            "[redacted:private-key]",
        ),
    ],
)
def test_a_secret_becomes_a_mark(text, expected):
    """Each kind of secret is taken out, its surroundings stay."""
    assert redact_text(text) == (expected, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "risk-assessment-of-the-quarterly-report-2026",
        "trace 4bf92f3577b34da6a3ce929d0e0e4736 span 00f067aa0ba902b7",
        "1753862400123456789",
        "4111 1111 1111 1112",
        "password: ****",
        "the bearer of this letter",
        "https://example.org/a:b@c",
        "input_tokens: 12345678",
    ],
)
def test_ordinary_text_is_left_alone(text):
    """Ids, times, prose and wrong check digits are no secrets."""
    assert redact_text(text) == (text, 0)


def test_every_text_of_a_value_is_redacted():
    """Keys and values at any depth are looked at; other types stay."""
    value = {"a": [f"sk-{KEY}", 1, None], f"ghp_{KEY}": {"b": True}}

    assert redact_value(value) == (
        {"a": ["[redacted:api-key]", 1, None], "[redacted:github-token]": {"b": True}},
        2,
    )


_SECRETS = (f"sk-{KEY}", "pwd=hunter2-x", "https://app:s3cr3t@db/x", "4111 1111 1111 1111")


@pytest.mark.parametrize("mark", [masked_as, partial(hashed_as, b"key")], ids=["mask", "hash"])
@settings(deadline=None)
@given(
    st.lists(
        st.text(alphabet=string.printable, max_size=100) | st.sampled_from(_SECRETS), max_size=5
    )
)
def test_redacting_twice_changes_nothing_more(mark, texts):
    """Masked and hashed text hold no secret, for what masks and hashes again."""
    once = redact_text(" ".join(texts), mark).text

    assert redact_text(once).text == once
    assert redact_text(once, mark).text == once


@pytest.mark.parametrize("secret", _SECRETS)
def test_a_hash_is_the_same_for_the_same_secret_and_key_alone(secret):
    """Equal secrets have equal marks wherever they stand; another secret or key has another."""
    here, there = (
        redact_text(f"{start} {secret}", partial(hashed_as, b"key")).text.split(" ", 1)[1]
        for start in ("here", "there:")
    )
    other = redact_text(secret.replace("1", "7").replace("r", "q"), partial(hashed_as, b"key"))
    elsewhere = redact_text(secret, partial(hashed_as, b"other"))

    assert here == there
    assert secret not in here
    assert here not in {other.text, elsewhere.text}


def test_a_card_is_the_same_however_it_is_grouped():
    """Blanks and dashes between the digits do not change its hash."""
    marks = {
        redact_text(text, partial(hashed_as, b"key")).text
        for text in ("4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111")
    }

    assert len(marks) == 1


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=8), st.sampled_from(["a", "b"]))
def test_errors_with_hashed_secrets_are_one_error(key, secret):
    """What groups errors by their texts takes the hash for a part that changes."""
    text = f"invalid key {hashed_as(key, 'api-key', secret)} given"

    assert template_of(text) == "invalid key [redacted:api-key#<hex>] given"
