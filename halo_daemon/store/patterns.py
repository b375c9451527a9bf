"""
Patterns from people and models, in linear time: the only module that imports RE2.

RE2 has no wheel on some platforms; everything else works without it.
"""

import re
import warnings
from collections.abc import Iterator
from functools import lru_cache
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Protocol, cast

from halo_daemon.errors import QueryError

_MAX_PATTERN_CHARS = 2_000
_MAX_PROGRAM_BYTES = 8 * 1024**2
_LOOK_AROUND = re.compile(r"\(\?(?:[=!]|<[=!])|\\[1-9]|\(\?P=")
_ANCHORS = re.compile(r"[\^$]|\\[AzZbB]")


class Match(Protocol):
    """What a pattern finds."""

    def start(self) -> int:
        """Where it begins."""

    def end(self) -> int:
        """Where it ends."""


class Pattern(Protocol):
    """A compiled pattern, for text or for bytes like its source."""

    def search(self, text: str | bytes) -> Match | None:
        """The first match."""

    def finditer(
        self, text: str | bytes, pos: int | None = None, endpos: int | None = None
    ) -> Iterator[Match]:
        """All matches, in order; between two places, where they are given."""


@lru_cache(maxsize=64)
def compile_pattern(pattern: str, *, ignore_case: bool = False) -> Pattern:
    """
    Compile for decoded text.

    Raises:
        QueryError: RE2 cannot express *pattern*, or is not installed.
    """
    return _compile(pattern, ignore_case=ignore_case, never_newline=False)


@lru_cache(maxsize=64)
def compile_line_filter(pattern: str, *, ignore_case: bool = False) -> Pattern:
    """
    Compile for the raw bytes of many lines; no match crosses a line end.

    Raises:
        QueryError: RE2 cannot express *pattern*, or is not installed.
    """
    return _compile(
        pattern.encode("utf-8", "surrogatepass"), ignore_case=ignore_case, never_newline=True
    )


def has_anchors(pattern: str) -> bool:
    """Whether *pattern* may speak of the beginning or end of a value or word."""
    return _ANCHORS.search(pattern) is not None


def required_literal(pattern: str, *, ignore_case: bool = False) -> str:
    """
    The longest text that every match of *pattern* contains; ``""`` when none is known.

    Only plain runs of characters at the top level count, so the answer may be
    shorter than it could be, and never wrong.
    """
    if ignore_case:
        return ""
    try:
        with warnings.catch_warnings():
            # What Python may read otherwise one day is no concern of whoever searches.
            warnings.simplefilter("ignore", FutureWarning)
            parsed = _parser.parse(pattern)
    except (re.error, RecursionError, OverflowError):
        return ""
    if parsed.state.flags & re.IGNORECASE:
        return ""
    longest = run = ""
    for operation, argument in parsed:
        run = run + chr(argument) if operation is _constants.LITERAL else ""
        longest = max(longest, run, key=len)
    return longest


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _compile(pattern: str | bytes, *, ignore_case: bool, never_newline: bool) -> Pattern:
    text = pattern if isinstance(pattern, str) else pattern.decode("utf-8", "surrogatepass")
    if not _is_text(text):
        raise QueryError("cannot search for half of a character pair: no text contains one")
    if len(text) > _MAX_PATTERN_CHARS:
        raise QueryError(
            f"cannot search for a pattern of {len(text)} characters: "
            f"{_MAX_PATTERN_CHARS} are the limit",
            hint="search for a shorter, rarer part of it",
        )
    try:
        import re2  # noqa: PLC0415 -- has no wheel on some platforms
    except ImportError as exc:
        raise QueryError(
            "cannot search: the package `google-re2` is not installed",
            hint="install google-re2, or filter by fields instead",
        ) from exc
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    options.never_nl = never_newline
    options.max_mem = _MAX_PROGRAM_BYTES
    try:
        return cast("Pattern", re2.compile(pattern, options))
    except re2.error as exc:
        hint = (
            "look-around and back-references need more than linear time; search for one part "
            "and filter the answer"
            if _LOOK_AROUND.search(text)
            else "the syntax is that of RE2; escape . ( ) [ ] { } * + ? | ^ $ \\ to mean themselves"
        )
        reason = exc.args[0].decode("utf-8", "replace") if isinstance(exc.args[0], bytes) else exc
        raise QueryError(f"cannot search for `{text[:200]}`: {reason}", hint=hint) from exc
