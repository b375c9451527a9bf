"""
What kind of error a text describes: one table, first match wins.

The patterns look at the masked template and the exception class, so that a
number in a payload is not taken for a status code.
"""

import re
from functools import lru_cache
from typing import Literal, NamedTuple

from halo_daemon.analyzer.step_limit import BUDGET_TEXT

Diagnosis = Literal[
    "missing_requirement", "not_followed", "implementation", "observability", "external"
]
FixType = Literal["tool_description", "system_prompt", "code", "config", "infra", "eval", "other"]


class ErrorKind(NamedTuple):
    """One class of errors and what follows from it."""

    name: str
    category: str
    rule: str
    """Rule that reports it; ``""`` for the rule of the span's kind."""
    diagnosis: Diagnosis
    fix_type: FixType
    advice: str
    retry_helps: bool = False


_TABLE: tuple[tuple[ErrorKind, str], ...] = (
    (
        ErrorKind(
            "budget",
            "orchestration-related-errors/premature-termination",
            "budget_exhausted",
            "implementation",
            "config",
            "Read some of these runs: raise the limit where they were getting on, and end the loop"
            " earlier where they were not.",
        ),
        BUDGET_TEXT,
    ),
    (
        ErrorKind(
            "unknown_tool",
            "incorrect-actions/tool-selection",
            "made_up_tool",
            "not_followed",
            "system_prompt",
            "List the available tools by name in the system prompt, and answer an unknown name"
            " with that list.",
        ),
        (
            r"(?:unknown|no such|unrecogni[sz]ed|non-?existent|invalid) (?:tool|function|action)\b"
            r"|(?:tool|function) (?:name )?\S{0,80} ?(?:does not exist|is not (?:available|defined|registered)|not found)"
            r"|is not a (?:valid|known) (?:tool|function)"
        ),
    ),
    (
        ErrorKind(
            "bad_arguments",
            "execution-error/tool-schema",
            "bad_arguments",
            "missing_requirement",
            "tool_description",
            "State the parameters in the tool's description as they are in code, with one example"
            " call, and let the error say which arguments are accepted.",
        ),
        (
            r"unexpected (?:keyword )?argument|missing [^.]{0,30}(?:required|positional) "
            r"|validation errors?\b"
            r"|(?:required|missing|invalid|unknown|unexpected|unrecognized) (?:argument|parameter|property|field|input|keyword)s?\b"
            r"|is a required (?:property|argument|parameter)"
            r"|takes [^.]{0,40} positional arguments?|does not match (?:the )?schema"
            r"|additional properties are not allowed|is not of type"
            r"|invalid (?:tool )?(?:arguments?|input) for"
            r"|^(?:ValidationError|InputValidationError)\b"
        ),
    ),
    (
        ErrorKind(
            "rate_limiting",
            "execution-error/rate-limiting",
            "infra_error",
            "external",
            "infra",
            "Back off on 429 with the server's own delay, and spread or cache the calls.",
            retry_helps=True,
        ),
        (
            r"\b429\b|rate.?limit|rate exceeded|too many requests|quota (?:exceeded|exhausted)|throttl"
            r"|RateLimitError|RESOURCE_EXHAUSTED"
        ),
    ),
    (
        ErrorKind(
            "authentication",
            "execution-error/authentication",
            "infra_error",
            "external",
            "config",
            "Check the credentials of the service and what they are allowed to do.",
        ),
        (
            r"\b40[13]\b|unauthori[sz]ed|forbidden|authentication (?:failed|error|required)"
            r"|invalid (?:api.?key|token|credentials?)|(?:access|permission) denied"
            r"|not (?:authenticated|authorized)|(?:token|session|certificate|credentials?)"
            r"(?: included in the request)? (?:(?:has|have|is|are) )?(?:been )?(?:expired|revoked)"
            r"|invalid_(?:token|grant|client|auth)\b|not_authed|unauthenticated|login required"
            r"|ExpiredToken|TokenExpired"
            r"|AuthenticationError|PermissionDeniedError"
        ),
    ),
    (
        ErrorKind(
            "timeout",
            "execution-error/timeout",
            "infra_error",
            "external",
            "infra",
            "Set a limit that the work fits in, or split the work; tell the model what was done"
            " before time ran out.",
            retry_helps=True,
        ),
        (
            r"time[sd]?.?out\b|\b(?:408|504)\b|deadline exceeded"
            r"|TimeoutE(?:rror|xpired|xception)"
        ),
    ),
    (
        ErrorKind(
            "resource_exhaustion",
            "execution-error/resource-exhaustion",
            "infra_error",
            "external",
            "infra",
            "Bound what is asked for at once, or give the process more of what ran out.",
        ),
        (
            r"out of memory|MemoryError|no space left|disk (?:is )?full"
            r"|context.?(?:length|window)|maximum context|too many tokens|prompt is too long"
            r"|token limit|resource exhausted|OOMKilled|too many (?:clients|connections|open files)"
        ),
    ),
    (
        ErrorKind(
            "service_errors",
            "execution-error/service-errors",
            "infra_error",
            "external",
            "infra",
            "Retry with back-off, and have a second way when the service is down.",
            retry_helps=True,
        ),
        (
            r"\b50[0-35-9]\b|\b5xx\b|internal server error|service unavailable|bad gateway"
            r"|connection (?:was )?(?:refused|reset|error|aborted|closed|lost|terminated)"
            r"|upstream (?:connect )?error|socket hang up|broken pipe|no route to host|unreachable"
            r"|(?:failed to|could not|unable to|cannot|can.t) connect|temporarily unavailable|name or service not known"
            r"|name resolution|getaddrinfo|ECONN|SSLError|certificate.verify|APIConnectionError"
            r"|InternalServerError|overloaded|server error <quoted>"
            r"|\bConnect(?:ion)?(?:Refused|Reset|Aborted)?E(?:rror|xception)\b|ClientConnectorError"
            r"|(?:Remote|Server)Disconnected|connection failed|fetch failed|max retries exceeded"
            r"|no such host|could not resolve host|\bENOTFOUND\b|EAI_AGAIN|nodename nor servname"
            r"|self.signed certificate|SSL certificate|x509: |(?:SSL|TLS) handshake|empty reply from"
            r"|\bconnect(?:ing|ion)? to [^.]{1,80}\b(?:refused|failed|reset|closed|lost)\b"
            r"|\b(?:service|server|backend|database|gateway|host|cluster|broker|upstream)\b"
            r"[^.]{0,40} (?:unavailable|offline|(?:is|was|are) (?:down|in maintenance"
            r"|(?:currently |temporarily )?not (?:available|responding|reachable|accepting"
            r" connections)))\b"
        ),
    ),
    (
        ErrorKind(
            "environment",
            "execution-error/environment",
            "",
            "external",
            "infra",
            "Install what is missing in the agent's environment, or name what is there in the"
            " prompt.",
        ),
        (
            r"ModuleNotFoundError|No module named|ImportError|command not found"
            r"|is not recognized as an internal|executable file not found"
            r"|Import (?:of|from) .{0,60}(?:not allowed|forbidden)"
            r"|not among the (?:explicitly )?allowed|EnvironmentError|EACCES"
        ),
    ),
    (
        ErrorKind(
            "resource_not_found",
            "execution-error/resource-not-found",
            "",
            "missing_requirement",
            "tool_description",
            "Have the tool answer with what does exist near the name that was asked for.",
        ),
        (
            r"\b404\b|not found|no such (?:file|directory|table|column|element)"
            r"|FileNotFoundError|does not exist|doesn't exist|NotFoundError|no results?\b"
        ),
    ),
    (
        ErrorKind(
            "formatting",
            "execution-error/formatting",
            "",
            "not_followed",
            "system_prompt",
            "Show one complete example of the wanted format, and answer a malformed one with what"
            " was wrong in it.",
        ),
        (
            r"JSONDecodeError|json|pars(?:e|ing)|SyntaxError|IndentationError"
            r"|unexpected (?:token|EOF|end of)|malformed|invalid (?:format|syntax|literal)"
            r"|regex pattern|decode"
        ),
    ),
)
_COMPILED = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _TABLE)

OTHER = ErrorKind(
    "other",
    "execution-error/other",
    "",
    "implementation",
    "code",
    "Look at the decision span: what the model was told of this case, and what the tool answers"
    " when it cannot do it.",
)


@lru_cache(maxsize=4096)
def error_kind(error_type: str, template: str) -> ErrorKind:
    """Which kind of error it is; `OTHER` when no pattern knows it."""
    text = f"{error_type}: {template}" if error_type else template
    return next((kind for kind, pattern in _COMPILED if pattern.search(text)), OTHER)
