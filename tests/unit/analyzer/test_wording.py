"""What a finding is called."""

import pytest

from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.wording import wording_of


@pytest.mark.parametrize(
    ("error_type", "template", "said"),
    [
        ("Limit", "slower", "Limit: slower"),
        ("Limit", "Limit: slower", "Limit: slower"),
        ("Limit", "a.b.Limit: slower", "Limit: slower"),
        ("Limit", "a.b.OtherLimit: slower", "Limit: a.b.OtherLimit: slower"),
        ("Limit", "", "Limit"),
        ("", "a.b: slower", "a.b: slower"),
    ],
)
def test_the_class_of_an_error_is_said_once(error_type, template, said):
    """Some write it before the message, with its module or without."""
    key = FindingKey("tool_error", "shop", "look", error_type, template)

    assert wording_of(key).title == f"`look` fails: `{said}`"
