r"""
Error texts to templates, so that two occurrences of one mistake look alike.

Rule 1: a template depends on nothing but its text; it goes into a finding's id,
so any change of meaning here needs a new `fingerprint.ALGORITHM`.

Rule 2: masks are applied in the order of `_MASKS`; an earlier one takes what a
later one would cut to pieces (a URL holds a path, a path holds numbers).

Rule 3: empty and filled quotes are masked alike.
"""

import re
import unicodedata
from functools import lru_cache

from halo_daemon.analyzer.safe_text import without_escapes

MAX_TEMPLATE_CHARS = 300
_MAX_SCANNED_CHARS = 20_000

_MASKS: tuple[tuple[str, re.Pattern[str]], ...] = (
    # httpx, aiohttp and botocore put a status where it would be masked with its quotes, or as
    # any number.
    (r"<\1>", re.compile(r"'([45][0-9]{2}) [A-Z][A-Za-z -]{1,60}'")),
    (r"<\1>, message=", re.compile(r"^([45][0-9]{2}), message=")),
    (r"\1(<\2>)", re.compile(r"^(An error occurred )\(([45][0-9]{2})\)(?= when calling )")),
    (
        # An HTTP status tells one mistake from another, so it stays, out of reach of `<n>`.
        r"\1<\2\3>",
        re.compile(
            r"\b((?:HTTP(?:/[0-9.]+)?|status(?:[ _]code)?|(?:error )?code|error)[\"']?[ :=]{1,3})"
            r"([45][0-9]{2})(?![\w.,]\w)"
            r"|\b([45][0-9]{2})(?= (?:Client Error|Server Error|Not Found|Too Many|Unauthorized"
            r"|Forbidden|Internal|Bad |Service|Gateway|Conflict|Method|Request)\b)",
            re.IGNORECASE,
        ),
    ),
    ("<url>", re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,10}://[^\s\"'<>)\]}]+")),
    ("<email>", re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+\b")),
    (
        "<uuid>",
        re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"),
    ),
    ("<traceparent>", re.compile(r"\b[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\b")),
    (
        "<hex>",
        re.compile(
            r"\b(?:0x[0-9a-fA-F]+|(?=[0-9a-fA-F]*[0-9])(?=[0-9]*[a-fA-F])[0-9a-fA-F]{8,})\b"
        ),
    ),
    (
        "<ip>",
        re.compile(
            r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?::[0-9]{1,5})?\b"
            r"|(?<![\w:])(?:[0-9a-fA-F]{0,4}:){3,7}[0-9a-fA-F]{1,4}(?![\w:])"
        ),
    ),
    (
        "<time>",
        re.compile(
            r"\b[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}"
            r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
            r"|\b[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?\b"
            r"|\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{1,2} [A-Z][a-z]{2} [0-9]{4}\b"
        ),
    ),
    (
        "<duration>",
        re.compile(
            r"(?<![\w.])[0-9]+(?:\.[0-9]+)? ?"
            r"(?:ns|µs|us|ms|s|secs?|seconds?|mins?|minutes?|h|hours?|days?)\b"
        ),
    ),
    (
        "<path>",
        re.compile(r"(?<![\w<])(?:~|\.{1,2}|[A-Za-z]:)?(?:[/\\][\w.@+\-~\[\]]+){2,}[/\\]?"),
    ),
    (
        "<quoted>",
        re.compile(
            r'"[^"\n]*"|`[^`\n]*`|“[^”\n]*”|‘[^’\n]*’|(?<!\w)\'[^\n]*?\'(?!\w)|(?<!\w)[\'"`][^\'"`\n]*$'
        ),
    ),
    (
        "<base64>",
        re.compile(r"(?<![\w+/])(?=[A-Za-z+/]*[0-9])(?=[^A-Z]*[A-Z])[A-Za-z0-9+/]{24,}={0,2}"),
    ),
    (
        "<n>",
        re.compile(r"(?<![\w<.])[-+]?[0-9][0-9_]*(?:[.,][0-9]+)*(?:[eE][-+]?[0-9]+)?(?![\w>])"),
    ),
    # Numbers at the end of a name, as in `accounts_92` and `CUST48213`; `utf8` is a name.
    (
        r"\1<n>",
        re.compile(r"([A-Za-z]_|(?<![A-Za-z0-9_])[A-Za-z]{2,12}(?=[0-9]{4}))[0-9]+(?![\w>])"),
    ),
)
_VOLATILE = tuple(mask for mask in _MASKS if mask[0] in {"<uuid>", "<traceparent>", "<time>"})
_VOLATILE_PAIR = re.compile(
    r"(?i)(\"?(?:request|trace|span|correlation|transaction|message|call|session)[_-]?id\"?\s*[:=]\s*)"
    r"\"?[\w.:-]{4,}\"?"
)
_NAME_MASKS = tuple(mask for mask in _MASKS if mask[0] in {"<uuid>", "<hex>", "<time>", "<n>"})
_SPACE = re.compile(r"\s+")
_CAUSE = re.compile(r"\b(?:due to|caused by|because of):\s+", re.IGNORECASE)
_HEADER = re.compile(
    r"</?\w+>"
    r"|<?(?:exit|return)[ _-]?(?:code|status)>?\s*[:=]?\s*-?[0-9]+(?:\s*</\w+>)?[.:]?"
    r"(?:\s*\([^)]{0,60}\))?"
    r"|(?:code )?(?:output|stdout|stderr|execution logs?|last output from code snippet)\s*:"
    r"|(?:(?:code )?(?:output|stderr):\s*)?file \"[^\"]*\", line [0-9]+.*"
    r"|\[error\] tool (?:reported failure|failed)"
    r"|[-=~_^* ]{3,}[^-=~_^*]{0,60}[-=~_^* ]{3,}|[-=~_^* ]{3,}",
    re.IGNORECASE,
)
_ERROR_WORDS = re.compile(
    r"\b(?:error|failed|failure|fatal|cannot|could not|can't|denied|not found|no such|invalid"
    r"|unable|undefined|missing|unexpected|refused|exception)\b",
    re.IGNORECASE,
)
_MAX_PAYLOAD_CHARS = 4_000
_PAYLOAD_MESSAGE = tuple(
    re.compile(rf"[\"'](?:{names})[\"']:\s*([\"'])(?!\1)((?:\\.|(?!\1).){{1,1000}})\1\s*[,}}]")
    for names in ("message", "error|detail|errorMessage|error_message|msg")
)
_TRACEBACK = "Traceback (most recent call last)"
_EXCEPTION = re.compile(
    r"((?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Warning|Timeout|Exit|Interrupt))\b(?::\s*|\s*$)"
)

_REPRESENTED = re.compile(
    r"((?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Warning|Timeout|Exit|Interrupt))"
    r"\(([\"'])((?:\\.|(?!\2).)+)\2(?:,.*)?\)"
)
_LINE_END = "\\n"
_ESCAPED = re.compile(r"\\([\"'\\])")


def core_message(text: str) -> str:
    """
    Reduce an error text to the one line that names the mistake.

    The last line of a traceback, else the first line that says something; of the
    output of a failed command the line that names an exception or an error, and of
    a chain ``… due to: …`` the innermost cause. Of an object that a service answered with,
    what it says. Empty for blank text.
    """
    scanned = without_escapes(text[:_MAX_SCANNED_CHARS])
    line = _core_line(scanned)
    if "{" in line:
        line = _unwrapped(line, scanned)
    return _written_out(line) if line.endswith(")") else line


def _written_out(line: str) -> str:
    """
    *line* as Python prints an exception, where it is one as Python represents it.

    What stands in quotes is masked; there it would be the whole message. A key that is
    missing stays in quotes, as it is printed.
    """
    match = _REPRESENTED.fullmatch(line)
    if match is None:
        return line
    name, mark, message = match.groups()
    if name.endswith("KeyError"):
        return f"{name}: {mark}{message}{mark}"
    first_line = _ESCAPED.sub(r"\1", message.partition(_LINE_END)[0])
    return f"{name}: {first_line}"


def _unwrapped(line: str, text: str) -> str:
    """
    *line* with the message of the object that it ends with, or begins, in the object's place.

    Clients put the whole answer of a service into their error: all but the message is
    quoted, and would be masked, so that all errors of a client would look alike.
    """
    if not line.endswith(("{", "}")):
        return line
    before, _, _ = line.partition("{")
    start = text.find(line) + len(before)
    payload = text[start : start + _MAX_PAYLOAD_CHARS]
    found = (match[2] for pattern in _PAYLOAD_MESSAGE if (match := pattern.search(payload)))
    message = next(found, "")
    return f"{before}{message}".strip() if message else line


def _core_line(scanned: str) -> str:
    at = scanned.find(_TRACEBACK)
    head = scanned[:at] if at >= 0 else scanned
    causes = _CAUSE.split(head)
    line = next((found for part in reversed(causes) if (found := _first_line(part))), "")
    if at < 0 or (line and not says_nothing(line)):
        return line
    body = [row for row in scanned[at:].splitlines()[1:] if row and not row[0].isspace()]
    return body[0].strip() if body else line or _TRACEBACK


def _first_line(text: str) -> str:
    """The first line that says more than an exit code does; that one when there is no other."""
    lines = [stripped for line in text.splitlines() if (stripped := line.strip())]
    telling = [line for line in lines if not says_nothing(line)]
    if len(telling) < len(lines):
        # What follows an exit code is the output of a command, with the error at no fixed place.
        named = [line for line in telling if _EXCEPTION.match(line)]
        worded = [line for line in telling if _ERROR_WORDS.search(line)]
        telling = named[-1:] or worded[:1] or telling
    return next(iter(telling), lines[0] if lines else "")


def says_nothing(line: str) -> bool:
    """Whether a line only announces what follows, such as an exit code or ``Output:``."""
    return _HEADER.fullmatch(line.strip()) is not None


def exception_type(text: str) -> str:
    """
    Name the exception class that *text* begins with, without its package.

    Empty when it begins with none.
    """
    match = _EXCEPTION.match(text.lstrip())
    return match[1].rpartition(".")[2] if match else ""


@lru_cache(maxsize=4096)
def template_of(text: str) -> str:
    """
    Mask the part of an error text that differs from one occurrence to the next.

    Equal for texts that differ only in addresses, ids, times, paths, quotes and
    numbers. Empty for blank text.
    """
    line = unicodedata.normalize("NFC", core_message(text))[:MAX_TEMPLATE_CHARS]
    for placeholder, pattern in _MASKS:
        line = pattern.sub(placeholder, line)
    return _SPACE.sub(" ", line).strip()


@lru_cache(maxsize=4096)
def mask_name(name: str) -> str:
    """Mask counters and ids in the name of a span, a tool or a service, as in ``Step <n>``."""
    for placeholder, pattern in _NAME_MASKS:
        name = pattern.sub(placeholder, name)
    return _SPACE.sub(" ", unicodedata.normalize("NFC", name)).strip()[:MAX_TEMPLATE_CHARS]


def mask_volatile(text: str) -> str:
    """
    Mask only what changes although the result is the same: times, ids of requests.

    Numbers, names and all other content stay, so that real progress is seen.
    """
    if "id" in text or "ID" in text or "Id" in text:
        text = _VOLATILE_PAIR.sub(r"\1<id>", text)
    if "-" in text or ":" in text or "/" in text:
        for placeholder, pattern in _VOLATILE:
            text = pattern.sub(placeholder, text)
    return text
