"""
Words of frameworks, drivers and gateways for a call that failed, by how they begin.

Each is what a library writes in place of a result. They are looked up by their first three
letters, so that a text which begins otherwise costs one look into a table.
"""

import re
from functools import cache
from typing import Final

_BEGINNING: Final = 3
_SHORT_CHARS: Final = 600
"""A sentence that a page could open with is taken for a refusal only where little follows."""
_AROUND: Final = " \t\r\n\"'`*_<[❌✗✘✖⛔🚫🛑❗⚠\ufe0f"
_SAID: Final = r"(?:$|\s*[.!,;(]|\s*:(?!\s*[0-9])|\s+(?:after|and|at|for|if|in|on|or|please|retry|try|when|while)\b)"
"""What follows a sentence that is over, or goes on about the failure."""

_DENIED: Final = rf"(?:has |have |is |are |was )?(?:been )?(?:already )?(?:expired|revoked){_SAID}"
_LOGIN: Final = r"(?:session|token|credentials?|api[ _-]?key|login)(?: included in the request)? "
_OF_LOGIN: Final = (
    r"(?:provided |incoming |current )?(?:access |refresh |api |security |id |auth )?"
    rf"{_LOGIN}{_DENIED}"
)
_CALL: Final = r"(?:endpoint request|call|command|connection|execution|operation|query|request)"
_TIMED_OUT: Final = (
    rf"(?:api |http |tool )?{_CALL}(?: execution)? (?:has |was |is )?"
    rf"(?:timed out{_SAID}|(?:aborted|cancell?ed) due to (?:a )?time-?out\b|aborted[.!\s]*$)"
)

_FIXED: Final = (
    # Of frameworks: CrewAI, LangGraph, LlamaIndex, DSPy, Dify, the AI SDK, smolagents and others.
    ("i e", r"i encountered an error while (?:trying to use|using) the tool"),
    ("act", r"action '[^'\n]{1,80}' don'?t exist, these are the only available actions"),
    ("enc", r"encountered error: "),
    ("exe", r"execution error in [\w.-]{1,80}:"),
    ("too", r"tool (?:invoke|parameters validation) error: "),
    ("too", r"tool ['`\"][\w.-]{1,80}['`\"] failed(?::| with\b)"),
    ("fun", r"function ['`\"][\w.-]{1,80}['`\"] failed(?::| with\b)"),
    ("the", r"there is not a tool named [\w.-]{1,80}"),
    ("mod", r"model tried to call unavailable tool ['`]"),
    ("inv", r"invalid (?:input|arguments?) for tool [\w.'`-]{1,80}:"),
    ("inp", r"input validation error: "),
    ("unk", r"unknown tool(?: name)?: "),
    ("cod", r"code execution failed at line "),
    ("err", r"error invoking tool ['`]"),
    # Of gateways and clients.
    ("ups", r"upstream connect error or disconnect/reset before headers"),
    ("no ", r"no healthy upstream"),
    ("htt", r"https?connectionpool\(host="),
    ("cli", r"client error '[45][0-9]{2} "),
    ("ser", r"server error '[45][0-9]{2} "),
    ("rpc", r"rpc (?:error: code = |failed: )"),
    ("api", r"api error: [45][0-9]{2}\b"),
    ("npm", r"npm err! "),
    # Of databases and their drivers.
    ("psy|(ps", r"\(?psycopg2?\.[\w.]{3,80}(?:\)|:)"),
    ("sql|(sq", r"\(?sqlite3\.[\w.]{3,80}(?:\)|:)"),
    ("pym|(py", r"\(?py(?:mysql|odbc)\.[\w.]{3,80}(?:\)|:)"),
    ("(as|(du|(or", r"\((?:asyncpg|duckdb|oracledb)\.[\w.]{3,80}\)"),
    ("ora", r"ora-[0-9]{5}: "),
    ("sql", r"sqlstate\[\w{5}\]"),
    ("err", r"error [0-9]{4} \(\w{5}\)"),
)
_SHORT: Final = (
    ("the|thi|you", rf"(?:the|this|your) {_TIMED_OUT}"),
    ("api|htt|too|cal|com|con|end|exe|ope|que|req", _TIMED_OUT),
    ("con|dea", r"(?:context )?deadline exceeded[.!\s]*$"),
    (
        "err",
        (
            r"error [45][0-9]{2}\s*[-:]\s*"
            r"(?:bad|unauth|forbid|not found|time|gateway|internal|service|too many)"
        ),
    ),
    ("the|you", rf"(?:the|your) {_OF_LOGIN}"),
    ("acc|api|aut|cre|cur|id |inc|log|pro|ref|sec|ses|tok", _OF_LOGIN),
    (
        "inv",
        (
            r"invalid (?:api[ _-]?key|access token|token|credentials)"
            r"[\s.!,:;]*(?:$|provided|supplied)"
        ),
    ),
    ("inv", r"invalid_grant\b"),
    ("you", r"you (?:have )?exceeded your (?:current )?(?:quota|rate limit|limit)\b"),
    ("too", r"too many requests(?:$|\s*[.!,:;(])"),
    ("rat", rf"rate limit (?:reached|exceeded|hit){_SAID}"),
    (
        "sor|we'",
        (
            r"(?:we're )?sorry[,.!]? (?:but )?(?:the|this|our) (?:\w+ ){1,2}?is"
            r" (?:temporarily|currently) (?:unavailable|down|overloaded|not available)\b"
        ),
    ),
    (
        "the",
        r"there was an error(?::|[.!\s]*$| (?:while|when|processing|with your request)\b)",
    ),
    # Of a shell, where nothing else came back.
    (
        "ls:|cat|cd:|cp:|mv:|rm:|bas|hea|tai|gre|sed|sh:|fin",
        r"[\w./-]{1,12}: [^\n]{1,200}: (?:no such file or directory|permission denied)\s*$",
    ),
    # An error has occurred, in other languages.
    ("se |ocu|ha ", r"(?:se (?:ha )?produ(?:jo|cido)|(?:ha )?ocurri(?:ó|do)) un error\b"),
    ("une", r"une erreur (?:s['’]est produite|est survenue)\b"),
    ("es |ein", r"(?:es ist )?ein(?: \w+)? fehler (?:ist )?aufgetreten\b"),
    ("oco|aco|hou", r"(?:ocorreu|aconteceu|houve) um erro\b"),
    ("si ", r"si è verificato un errore\b"),
    ("er ", r"er is een (?:\w+ )?fout opgetreden\b"),
    ("wys", r"wystąpił (?:\w+ )?błąd\b"),
    ("про|воз", r"(?:произошла|возникла) (?:\w+ )?ошибка"),
    ("bir", r"bir hata oluştu\b"),
    ("ett", r"ett (?:\w+ )?fel (?:har )?(?:uppst|inträff)"),
    ("发生了|发生错|发生未|发生内|发生系|出现错", r"(?:发生|出现)了?(?:未知|内部|系统)?错误"),
    ("エラー", r"エラーが(?:発生|起き)"),
    ("오류가", r"오류가 발생"),
)
_LATER: Final = (
    (" is not a valid tool, try one of [", re.compile(r"[\w.-]{1,80} is not a valid tool, try")),
    (
        " validation error",
        re.compile(r"[0-9]{1,3} validation errors?(?: for \w|:\s*(?:```|\[))"),
    ),
    (
        "\n\tat ",
        re.compile(r"(?:[a-z_]\w*\.){1,9}[a-z]\w*(?:error|exception)\b[^\n]{0,300}\n\tat "),
    ),
)
"""What begins with a name or a number, and what is in each of them: that is looked for first."""

_ALONE: Final = re.compile(r"(?!no_?error)(?:[a-z]\w*\.)*[a-z]\w{2,60}(?:error|exception)[.!\s]*")
"""Nothing but the class of an error."""
_ALONE_CHARS: Final = 80


def _by_beginning(rows: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """The patterns that a text with such a beginning may match, as one."""
    found: dict[str, list[str]] = {}
    for beginnings, pattern in rows:
        for beginning in beginnings.split("|"):
            found.setdefault(beginning, []).append(pattern)
    return {beginning: "|".join(alike) for beginning, alike in found.items()}


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compiled when a text first begins so: all of them would take a start 10 ms."""
    return re.compile(pattern)


_FIXED_BY: Final = _by_beginning(_FIXED)
_SHORT_BY: Final = _by_beginning(_SHORT)


RARE_BEGINNINGS: Final = frozenset(_FIXED_BY) - {"no ", "the", "too"} | {
    *("bir", "dea", "ein", "ett", "inv", "ls:", "oco", "rat", "sor", "une", "发生错"),
    *("произошла"[:3], "возникла"[:3]),
}
"""Of those above, the ones that hardly any other text begins with."""

NAMED_CODE: Final = re.compile(
    r"E[A-Z]{4,20}|ERR_[A-Z_]{3,60}|UNAUTHENTICATED|PERMISSION_DENIED|DEADLINE_EXCEEDED"
    r"|RESOURCE_EXHAUSTED|FAILED_PRECONDITION"
)
"""What Node.js and gRPC call a failure by."""


def is_worded_failure(small: str, length: int) -> bool:
    """
    Whether a text begins with what a library writes in place of a result.

    Args:
        small: Its first characters, in small letters.
        length: How many it has in all.
    """
    head = small.lstrip(_AROUND)
    beginning = head[:_BEGINNING]
    fixed = _FIXED_BY.get(beginning)
    if fixed is not None and _compiled(fixed).match(head):
        return True
    if length <= _SHORT_CHARS:
        short = _SHORT_BY.get(beginning)
        if short is not None and _compiled(short).match(head):
            return True
        if length <= _ALONE_CHARS and _ALONE.fullmatch(head):
            return True
    for mark, pattern in _LATER:  # noqa: SIM110 -- faster than a generator
        if mark in head and pattern.match(head):
            return True
    return False


_SHOWS_FAILURES: Final = frozenset(
    {"crash", "crashes", "exception", "exceptions", "incident", "incidents", "journal"}
    | {"journalctl", "kubectl", "log", "logs", "sentry", "stacktrace", "stderr", "stdout"}
    | {"trace", "traceback", "traces"}
)
_BROWSES: Final = frozenset(
    {"browse", "browser", "crawl", "curl", "fetch", "goto", "html", "http", "navigate", "page"}
    | {"scrape", "screenshot", "site", "snapshot", "url", "visit", "web", "website"}
)
_NAME_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_LOGIN_TITLE: Final = re.compile(
    r"\s*<(?:!doctype html|html)\b[^<]{0,200}[\s\S]{0,2000}?<title>\s*"
    r"((?:sign in|sign-in|log in|login|anmelden|connexion|iniciar sesión)\b[^<]{0,80})</title>",
    re.IGNORECASE,
)


def shows_failures(tool: str) -> bool:
    """Whether *tool* shows what others recorded: several lines are that, whatever they say."""
    return not _SHOWS_FAILURES.isdisjoint(map(str.lower, _NAME_WORDS.findall(tool)))


def is_login_page(result: str, tool: str) -> str:
    """The title of a page to log in at that came for an answer; ``""`` where pages are asked for."""
    if result[:1] != "<" and result.lstrip()[:1] != "<":
        return ""
    found = _LOGIN_TITLE.match(result[:4_000])
    if found is None or not _BROWSES.isdisjoint(map(str.lower, _NAME_WORDS.findall(tool))):
        return ""
    return f"login required: {found[1].strip()}"
