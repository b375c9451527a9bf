"""
How a service failed whoever asked it: the few ways that all clients have words of their own for.

Rule 1: a way is what happened on the wire, never whose fault it is. Each is told by the words
of libraries, operating systems and protocols; what a service says in its own words is none.

Rule 2: the first way that fits wins, the more telling ones stand first: that a name was not
resolved explains that nobody could be connected to.
"""

import re
from typing import Final, NamedTuple

_MAX_SCANNED_CHARS: Final = 2_000

UNRESOLVED: Final = "name resolution failed"
TOO_MANY: Final = "HTTP 429"
SERVER_ERROR: Final = "HTTP 5xx"

_WAYS: Final = tuple(
    (way, re.compile(pattern))
    for way, pattern in (
        (
            UNRESOLVED,
            (
                r"(?i:name (?:or service )?not known|name resolution|nodename nor servname"
                r"|no such host|getaddrinfo|(?:could ?n.t|could not|cannot|can.t|failed to|unable to)"
                r" (?:resolve|translate) (?:host|address|name|dns|['\"<])|no address associated)"
                r"|\bENOTFOUND\b|EAI_AGAIN|NameResolutionError|DNSError|UnknownHostException"
            ),
        ),
        (
            "TLS or certificate verification failed",
            (
                r"(?i:certificate.verif|certificate (?:has expired|is not valid|signed by|problem)"
                r"|self.signed certificate|(?:ssl|tls).{0,3} (?:handshake|routines|validation)"
                r"|handshake fail|unable to (?:verify|get) (?:the )?(?:first|local issuer) certificate"
                r"|wrong version number)|\bSSL: |SSL(?:Cert\w*)?Error|SSLHandshakeException|\bx509: |\bCERT_[A-Z]"
            ),
        ),
        (
            "connection refused",
            (
                r"(?i:connection (?:was )?refused|actively refused|connect call failed"
                r"|\bconnect(?:ing|ion)? to .{1,100}\brefused)|ECONNREFUSED|ConnectionRefused"
            ),
        ),
        (
            "connection reset or closed",
            (
                r"(?i:connection (?:was |has been |is )?(?:reset|closed|aborted|lost|terminated)"
                r"|broken pipe|socket hang up|empty reply|closed (?:the )?(?:connection|unexpectedly)"
                r"|(?:remote end|server|peer) (?:closed|disconnected))"
                r"|ECONNRESET|ECONNABORTED|\bEPIPE\b|(?:Remote|Server)Disconnected"
                r"|Connection(?:Reset|Aborted|Closed)E"
            ),
        ),
        (
            "no route to the host",
            r"(?i:no route to host|(?:network|host) (?:is )?unreachable)|EHOSTUNREACH|ENETUNREACH",
        ),
        (TOO_MANY, r"<429>|(?i:\btoo many requests\b|\brate.?limit)"),
        (
            SERVER_ERROR,
            (
                r"<5[0-9]{2}>"
                r"|InternalServerError"
                r"|(?i:\b(?:bad gateway|gateway time.?out|service unavailable|internal server error)\b)"
            ),
        ),
        (
            "timed out",
            (
                r"(?i:\btime[sd]?[- ]?out\b|deadline exceeded)|Timeout(?:Error|Exception|Expired)?\b"
                r"|E(?:SOCKET)?TIMEDOUT"
            ),
        ),
        (
            "connection refused",
            (
                r"(?i:(?:could ?n.t|could not|cannot|can.t|failed to|unable to)"
                r" (?:connect|establish a (?:new )?connection))|NewConnectionError"
            ),
        ),
    )
)


class FailedAt(NamedTuple):
    """Where and how something outside failed; either is ``""`` where it is not told."""

    place: str
    """Host with its port, or service, as `error_place.place_of` names it."""
    way: str
    """The same words for all clients."""


NOWHERE: Final = FailedAt("", "")


def way_of(error_type: str, message: str, template: str) -> str:
    """
    How a service failed; ``""`` where it is none of the ways that clients word in their own.

    Args:
        error_type: Class of the exception.
        message: Its words, in one line.
        template: The same masked, in which a status is marked as one.
    """
    text = f"{error_type}: {message[:_MAX_SCANNED_CHARS]} {template}"
    return next((way for way, pattern in _WAYS if pattern.search(text)), "")


def backend_of(at: FailedAt) -> str:
    """What of the place is at fault: a name is looked up for all ports alike."""
    host, _, port = at.place.rpartition(":")
    return host if at.way == UNRESOLVED and host and port.isdecimal() else at.place
