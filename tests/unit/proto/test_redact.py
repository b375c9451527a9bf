import string

import pytest
from hypothesis import given, settings, strategies as st

from halo_daemon.proto.redact import redact_text, redact_value

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


@settings(deadline=None)
@given(st.text(alphabet=string.printable, max_size=300))
def test_redacting_twice_changes_nothing_more(text):
    """Masked text holds no secret."""
    once = redact_text(text).text

    assert redact_text(once).text == once
