import re

import pytest
from hypothesis import given, strategies as st

from halo_daemon.proto.project import MAX_SLUG_LENGTH, project_named, slugify

SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        pytest.param("support-bot", "support-bot", id="already-safe"),
        pytest.param("Support Bot", "support-bot", id="case-and-space"),
        pytest.param("  a  ", "a", id="outer-space"),
        pytest.param("v1.2_x", "v1.2_x", id="dots-and-underscores"),
    ],
)
def test_plain_names_become_readable_slugs(name, slug):
    """Names that differ in case and spacing only are one project, without a hash."""
    assert slugify(name) == slug


@pytest.mark.parametrize(
    "name",
    [
        "../../x",
        "..",
        ".hidden",
        "a/b",
        "a\\b",
        "a\x00b",
        "CON",
        "com1.txt",
        "x" * 300,
        "日本語",
        "a.",
        "-a",
        "\ud800",
    ],
)
def test_hostile_names_become_safe_and_distinct_slugs(name):
    """A name that needs changing gets a hash, and never a path of its own."""
    slug = slugify(name)

    assert SLUG.fullmatch(slug)
    assert re.search(r"-[0-9a-f]{8}$", slug)
    assert slug != slugify(name + "y")


def test_unicode_normal_forms_are_one_project():
    """A composed and a decomposed spelling name the same project."""
    assert slugify("caf\u00e9") == slugify("cafe\u0301")


@pytest.mark.parametrize("name", ["", "   ", "\t\n"])
def test_an_empty_name_is_no_project(name):
    """An empty name is refused, so that the caller falls back to its default."""
    with pytest.raises(ValueError, match="not empty"):
        slugify(name)


@given(st.text(min_size=1, max_size=400).filter(lambda text: text.strip()))
def test_slugs_are_safe_short_and_stable(name):
    """Whatever the name, its slug is safe, bounded and its own slug."""
    slug = slugify(name)

    assert SLUG.fullmatch(slug)
    assert len(slug) <= MAX_SLUG_LENGTH
    assert slugify(slug) == slug


def test_a_project_keeps_the_name_that_was_sent():
    """The original spelling survives beside the slug."""
    assert project_named("Support Bot") == ("support-bot", "Support Bot")


@pytest.mark.parametrize("name", ["nul.txt", "COM1.x.y", "con.", "aux.-a"])
def test_a_slug_is_never_the_name_of_a_device(name):
    """What follows a dot does not keep a device's name from being one."""
    slug = slugify(name)

    assert slug.partition(".")[0] not in {"nul", "con", "aux", "com1"}
    assert slugify(slug) == slug
