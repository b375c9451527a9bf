"""
What an error text names that many tools can have in common: a host, a service.

Rule 1: words that errors of any origin use name nothing. ``Request timed out`` and
``HTTP 503`` are said by services that have nothing to do with each other.

Rule 2: a place is what the text or the span states, never what is looked up.
"""

import re
from collections.abc import Iterator

from halo_daemon.proto.span import Span

_MAX_SCANNED_CHARS = 2_000
_MAX_PLACE_CHARS = 200
_SERVER_KIND = "SPAN_KIND_SERVER"
_ADDRESS_KEYS = (
    ("server.address", "server.port"),
    ("net.peer.name", "net.peer.port"),
    ("network.peer.address", "network.peer.port"),
)
_URL_KEYS = ("url.full", "http.url")
_SERVICE_KEY = "peer.service"
_DEFAULT_PORTS = frozenset({"", "80", "443"})
_OWN_HOSTS = frozenset({"localhost", "127.0.0.1", "0.0.0.0", "[::1]", "::1"})  # noqa: S104 -- a name
_MANUALS = ("developer", "developers", "docs", "help", "support", "status", "httpstatuses")
"""First labels of hosts that errors point to for reading, not ones that failed."""

_IPV4 = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"
_URL = re.compile(
    r"\b[a-z][a-z0-9+.-]{1,20}://(?:[^\s/@\"'<>]*@)?"
    r"(\[[0-9a-f:]+\]|[\w-]+(?:\.[\w-]+)*)(?::([0-9]{1,5}))?",
    re.IGNORECASE,
)
_HOST_AND_PORT = re.compile(
    rf"(?<![\w./:@-])(?:ipv[46]:)?({_IPV4}|[a-z][\w-]*(?:\.[\w-]+)*|\[[0-9a-f:]+\]):([0-9]{{2,5}})(?!\w|\.[0-9]|:[0-9]|->)",
    re.IGNORECASE,
)
_NAMED_HOST = re.compile(
    r"\b(?:host(?:name)?\s*[=:]\s*[\"'`]?"
    r"|(?:host(?: ?name)?|server|address)(?: at| named| on)? [\"'`“])"
    r"([\w][\w.-]*)[\"'`”]?(?:[^\n]{0,30}?\bport\s*[=:]?\s*([0-9]{2,5}))?",
    re.IGNORECASE,
)
_ADDRESS = re.compile(rf"(?<![\w.])({_IPV4})(?![\w.])()")
_DOMAIN = re.compile(
    r"(?<![\w@./-])((?:[a-z0-9][a-z0-9-]*\.)+"
    r"(?:com|net|org|io|ai|dev|app|cloud|internal|local|svc|lan|corp|intranet|test))(?![\w-]|\.\w)()"
)
_LOOKED_UP = re.compile(
    r"\b(?:lookup(?= [\w.-]+ on )|getaddrinfo (?:ENOTFOUND|EAI_AGAIN)) ([\w.-]+)()", re.IGNORECASE
)
_WITH_PORT = re.compile(r"\bconnect(?:ing|ion)? to ([\w.-]+) port ([0-9]{2,5})\b", re.IGNORECASE)
_NAMED_ROLE = re.compile(
    r"\b(?:api|app|backend|broker|bucket|cache|client|cluster|database|db|endpoint|gateway|index"
    r"|instance|node|proxy|queue|server|service|tenant|upstream) "
    r"(?:[\"'`“]([\w][\w.-]*)[\"'`”]|([a-z]\w*(?:[-_.]\w+)+|[a-z]+[0-9]+)(?![\w:/]))",
    re.IGNORECASE,
)
_FORMS = (_URL, _LOOKED_UP, _WITH_PORT, _HOST_AND_PORT, _NAMED_HOST, _ADDRESS, _DOMAIN)
_NO_HOSTS = frozenset(
    re.findall(
        r"\w+",
        "after at attempt code col column count errno error errors exit http https id ids index is"
        " length limit line max min no not number offset page port retries retry row size status step"
        " time timeout times total was",
    )
)
_FILE = re.compile(
    r"\.(?:py|js|ts|tsx|jsx|go|rs|rb|java|php|cs|cpp|c|h|sh|md|json|ya?ml|toml|txt)$"
)

_COMMON_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
    a aborted accepted access account address after again allowed an api apis app application are at
    auth authentication authorization available back backend backoff bad base be been being broken
    budget busy but by cache call called calls can cannot capacity certificate channel chat check
    client close closed cluster code command completion completions connect connected connecting
    connection connections content context cookie could credential credentials current custom data
    database date day days db deadline default denied destination did disconnect disk dns does down
    due email endpoint engine error errors exceeded exception exceptions exhausted expired external
    fail failed failing failure failures fetch few file first flight for forbidden found from
    function gateway general generic get given global got grpc had handshake hang has have head
    header headers high host hosted hostname hour hours http https id ids if in inference inner
    input instance insufficient interface internal invalid is issue it item its json keep key keys
    large last later length level limit limited limits line list live load local log long lookup low
    mail main maintenance managed max maximum memory message messages method min minute minutes
    missing mode model models moment more ms msg multi name network new no node non none not null
    object of off offline on once one online only open operation option or org organization origin
    other our out outage output over overload overloaded page parameter parse partner password patch
    path payload peer per permission permissions pipe please point policy pool port post pre premium
    present previous primary processing project protocol provider proxy public put query queue quota
    rate re reached read ready reason recent refused region rejected release remote remotely replica
    request requested requests reset resolution resource resources response responses rest result
    results retries retry retryable return returned role root route rpc run running runtime safe
    search secondary seconds secure self send sent server servers service services session set short
    shutdown side sign signed signin slow socket some soon source specified ssl standard start state
    status still stop storage store stream streaming string sub support system table target
    temporarily temporary test text that the their then there third this thread throttle throttled
    time timed timeout timeouts timestamp tls to token tokens too tool tools traffic transport try
    type unable unauthorized unavailable underlying unexpected unhealthy unit unknown unreachable
    until up update upgrade upstream uri url use used user users utf valid value verify version via
    wait was we web well while with within work worker write written x you your zero
    """,
    )
)
_ROLES = (
    "api|backend|broker|bucket|cache|client|cluster|database|db|gateway|index|proxy|queue|server"
    "|service|tenant|upstream"
)
_ROLE = re.compile(rf"\b([A-Za-z][\w-]*) (?:{_ROLES})\b")
_MASKED = re.compile(r"\S*<\w+>\S*")
_NAME_LIKE = re.compile(r"(?<![\w/])[A-Za-z][\w*]*(?:[-_.*][\w*]+)+(?![\w/])")
_CODE_LIKE = re.compile(r"[A-Z0-9_]+|(?:\w+\.)*_*[A-Z]\w*")
"""Constants and names of classes: what a client calls the error, not who made it."""
_PARTS = re.compile(r"[-_.*]|(?<=[a-z])(?=[A-Z])")


def place_of(span: Span, message: str) -> str:
    """
    Name the host, with its port where that is stated, at which *span* failed.

    That of *message*, the error's words, else that of the span's attributes; the service
    called where these name no host. Lower case; ``""`` when nothing is named.
    """
    found = next(_places_in(message[:_MAX_SCANNED_CHARS]), "")
    if not found and span.kind != _SERVER_KIND:
        found = next(_places_stated(span), "") or span.text(_SERVICE_KEY)
    return found.lower()[:_MAX_PLACE_CHARS]


def _places_in(text: str) -> Iterator[str]:
    for form in _FORMS:
        for match in form.finditer(text):
            place = _place(match[1], match[2])
            if place:
                yield place
    for match in _NAMED_ROLE.finditer(text):
        name = match[1] or match[2]
        if not _CODE_LIKE.fullmatch(name) and (match[1] or _has_own_word(name)):
            yield name


def _places_stated(span: Span) -> Iterator[str]:
    for host_key, port_key in _ADDRESS_KEYS:
        if host := span.text(host_key):
            yield _place(host, str(span.count(port_key) or ""))
    for key in _URL_KEYS:
        if match := _URL.search(span.text(key)):
            yield _place(match[1], match[2])


def _place(host: str, port: str | None) -> str:
    """Host and port in one form; ``""`` for what is no place, or one's own machine as a whole."""
    port = port or ""
    if host.lower() in _NO_HOSTS or _FILE.search(host) or host.partition(".")[0] in _MANUALS:
        return ""
    if host.lower() in _OWN_HOSTS:
        # Clients tell one and the same machine by its name or by either of its addresses.
        return f"localhost:{port}" if port else ""
    return host if port in _DEFAULT_PORTS else f"{host}:{port}"


def name_in(template: str) -> str:
    """
    Name what a masked text says by name, such as a service or a key; ``""`` for nothing.

    A word put together like an identifier, or one before ``service``, ``database`` and the
    like, unless all of it are words that errors of any origin use.
    """
    text = _MASKED.sub(" ", template)
    for match in _NAME_LIKE.finditer(text):
        if not _CODE_LIKE.fullmatch(match[0]) and _has_own_word(match[0]):
            return match[0].lower()
    found = (match[0] for match in _ROLE.finditer(text) if _has_own_word(match[1]))
    return next(found, "").lower()


def _has_own_word(word: str) -> bool:
    parts = (part.strip("0123456789").lower() for part in _PARTS.split(word))
    return any(len(part) > 1 and part not in _COMMON_WORDS for part in parts)
