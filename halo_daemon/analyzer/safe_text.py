"""
Text of strangers, made safe to show.

Titles, templates, quotes, tool and span names come out of traces. What is shown
of them has no control characters, no bidirectional overrides, no zero-width
characters, and no place where it could become mark-up.
"""

import re
import unicodedata

_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u2069\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff]"
)
_ESCAPES = re.compile(
    # Colours and movements, then titles and links.
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\\]|\x9d)[^\x07\x1b\x9c\n]{0,2000}(?:\x07|\x1b\\\\|\x9c)"
    # Character sets and keypads.
    "|\x1b(?:[()*+][0-9A-Za-z]|[=>78])"
)
_BREAKS = re.compile(r"[\r\n\t\u0085\u2028\u2029]+")
_CODE = re.compile(r"`([^`]*)`")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>!|~&$]|(?<=:)//|(?<=www)\.)")
_MENTIONS = str.maketrans({"@": "＠", "#": "＃"})
_TICKS = re.compile(r"`+")


def clean(text: str) -> str:
    """Drop what cannot be seen, keep line ends and tabs; in normal form C."""
    whole = without_escapes(text).replace("\r\n", "\n")
    return _HIDDEN.sub("", unicodedata.normalize("NFC", whole))


def without_escapes(text: str) -> str:
    """*text* without the sequences by which a terminal is coloured and driven."""
    is_plain = "\x1b" not in text and "\x9b" not in text and "\x9d" not in text
    return text if is_plain else _ESCAPES.sub("", text)


def one_line(text: str, *, limit: int = 400) -> str:
    """*text* without line ends, at most *limit* characters, the cut shown by ``…``."""
    line = _BREAKS.sub(" ", clean(text)).strip()
    return line if len(line) <= limit else line[: max(0, limit - 1)] + "…"


def in_ticks(text: str, *, limit: int = 90) -> str:
    """*text* as the quoted part of a title: one line between back-ticks, none inside."""
    return "`" + (one_line(text, limit=limit).replace("`", "'").strip() or "?") + "`"


def segments(title: str) -> list[tuple[bool, str]]:
    """Cut a title into (is quoted, text); back-ticks that do not pair are plain text."""
    found: list[tuple[bool, str]] = []
    at = 0
    for match in _CODE.finditer(title):
        found += [(False, title[at : match.start()]), (True, match[1])]
        at = match.end()
    found.append((False, title[at:]))
    return [(quoted, one_line(text) if quoted else text) for quoted, text in found if text]


def markdown(title: str) -> str:
    """A title for Markdown: quoted parts as code spans, the rest with every mark escaped."""
    parts = segments(_BREAKS.sub(" ", clean(title)))
    return "".join(code_span(text) if quoted else escaped(text) for quoted, text in parts)


def escaped(text: str) -> str:
    """
    Plain text for Markdown: nothing in it is mark-up, a link, or a mention.

    ``@`` and ``#`` get their wide forms: a backslash before them does not keep an
    issue tracker from notifying whoever is named.
    """
    plain = one_line(text, limit=1_000) if _BREAKS.search(text) else text
    return _MARKDOWN.sub(lambda match: f"\\{match[1]}", plain).translate(_MENTIONS)


def code_span(text: str) -> str:
    """A Markdown code span that *text* cannot leave; a pipe in it stays inside its table cell."""
    line = one_line(text)
    longest = max((len(run) for run in _TICKS.findall(line)), default=0)
    ticks = "`" * (longest + 1)
    pad = " " if line[:1] == "`" or line[-1:] == "`" or not line else ""
    return ticks + pad + line.replace("|", "¦") + pad + ticks


def fenced(text: str, *, info: str = "") -> str:
    """A Markdown code block that *text* cannot leave; *info* is ours."""
    body = clean(text)
    longest = max((len(run) for run in _TICKS.findall(body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{info}\n{body}\n{fence}"
