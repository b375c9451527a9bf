"""
Which project a span belongs to, by name and by slug.

The slug names the project's directory and stands in ``inference.project_id``,
so it must be safe on every file system and must never merge two names by
accident.
"""

import hashlib
import re
import unicodedata
from typing import NamedTuple

MAX_SLUG_LENGTH = 63
_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_UNSAFE = re.compile(r"[^a-z0-9._-]+")
_HASH_LENGTH = 8
_WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")


class Project(NamedTuple):
    """A project: the slug that names its directory, and the name as it was sent."""

    slug: str
    name: str


def slugify(name: str) -> str:
    """
    Turn a project's name into its slug, ``[a-z0-9][a-z0-9._-]{0,62}``.

    Names that differ only in letter case, in spaces against hyphens, in white
    space at the ends or in Unicode normal form are one project. Any other change that
    the slug needs (replaced or removed characters, cut length, device names) appends 8 hex digits
    of the SHA-256 of the name, so that two names never fall together. The slug
    of a slug is itself.

    Raises:
        ValueError: *name* is empty or only white space.
    """
    folded = re.sub(r"\s+", "-", unicodedata.normalize("NFC", name).strip().lower())
    if not folded:
        raise ValueError("a project's name is not empty")
    if _is_safe(folded):
        return folded
    digest = hashlib.sha256(folded.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_LENGTH]
    readable = _UNSAFE.sub("-", folded).strip("._-")[: MAX_SLUG_LENGTH - _HASH_LENGTH - 1]
    slug = f"{readable or 'project'}-{digest}"
    # `nul.txt` stays a device whatever follows the dot; without the dot it is none.
    return slug if _is_safe(slug) else slug.replace(".", "-")


def project_named(name: str) -> Project:
    """
    The project with that name.

    Raises:
        ValueError: *name* is empty or only white space.
    """
    return Project(slugify(name), name)


def _is_safe(text: str) -> bool:
    return (
        _SLUG.fullmatch(text) is not None
        and not text.endswith(".")
        and _WINDOWS_DEVICES.fullmatch(text) is None
    )
