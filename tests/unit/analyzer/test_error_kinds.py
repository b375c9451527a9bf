"""Which kind of error a text describes."""

import pytest

from halo_daemon.analyzer.rules.error_kinds import error_kind

KINDS = [
    ("ModuleNotFoundError: No module named <quoted>", "environment"),
    ("FileNotFoundError: [Errno <n>] No such file or directory: <quoted>", "resource_not_found"),
    ("ResourceNotFoundError: no blob of that name", "resource_not_found"),
    ("getaddrinfo ENOTFOUND api.internal", "service_errors"),
    ("request to <url> failed, reason: getaddrinfo EAI_AGAIN api.internal", "service_errors"),
    ("connect ECONNREFUSED <ip>", "service_errors"),
    ("SyntaxError: invalid syntax", "formatting"),
    ("PermissionError: [Errno <n>] Permission denied: <quoted>", "authentication"),
    ("KeyError: <quoted>", "other"),
    ("AttributeError: <quoted> object has no attribute <quoted>", "other"),
]


@pytest.mark.parametrize(("template", "kind"), KINDS)
def test_an_error_is_of_the_kind_that_its_words_say(template, kind):
    """A word within another one, as ENOTFOUND in ModuleNotFoundError, says nothing."""
    assert error_kind("", template).name == kind
