"""One thing behind several tools that fails, and tools that fail alike with nothing in common."""

from itertools import cycle
from random import Random

from bench.faults.steps import TOPICS, call, order
from halo_daemon.proto.json_value import JsonObject
from halo_daemon.testing.traces import TraceScript

_BEHIND = ("find_order", "search_docs", "refund_order", "send_mail", "get_status")
_APART = ("find_order", "search_docs", "get_status")
_IN_TURN = cycle(_APART)
"""So that each of them fails in as many runs, and in enough to be a finding."""


def _arguments(tool: str, draw: Random) -> JsonObject:
    if tool == "search_docs":
        return {"query": draw.choice(TOPICS)}
    if tool == "get_status":
        return {"job": f"import {draw.randrange(100)}"}
    return {"to": "a@b.example"} if tool == "send_mail" else {"order_id": order(draw)}


def _fail(script: TraceScript, draw: Random, tool: str, error: str) -> None:
    call(script, tool, _arguments(tool, draw), error=error)


def database_down(script: TraceScript, draw: Random) -> None:
    """Whatever asks the database is refused."""
    for tool in draw.sample(_BEHIND, draw.randint(1, 3)):
        _fail(script, draw, tool, "ConnectionError: connect to db:5432 refused")


def gateway_down(script: TraceScript, draw: Random) -> None:
    """Each tool has a path of its own behind the same gateway."""
    for tool in draw.sample(_BEHIND, draw.randint(1, 3)):
        url = f"https://gateway.internal/v1/{tool}/{draw.randrange(10**6)}"
        _fail(script, draw, tool, f"503 Server Error: Service Unavailable for url: {url}")


def key_expired(script: TraceScript, draw: Random) -> None:
    """The framework puts the name of the tool before the words of the service."""
    for tool in draw.sample(_BEHIND, draw.randint(1, 3)):
        error = "401 Unauthorized: key billing-prod has expired"
        _fail(script, draw, tool, f"Error executing tool {tool}: {error}")


_CLIENTS = {
    "find_order": (
        "requests.exceptions.ConnectionError: HTTPConnectionPool(host='{host}', port=8080): Max"
        " retries exceeded with url: /orders/{n} (Caused by NewConnectionError('<HTTPConnection"
        " object at 0x7f{n:08x}>: Failed to establish a new connection: [Errno 111] Connection"
        " refused'))"
    ),
    "search_docs": (
        "Cannot connect to host {host}:8080 ssl:default [Connect call failed ('10.0.0.7', 8080)]"
    ),
    "refund_order": 'Could not connect to the endpoint URL: "http://{host}:8080/refunds/{n}"',
    "send_mail": "TypeError: fetch failed: connect ECONNREFUSED {host}:8080",
    "get_status": "Get http://{host}:8080/jobs/{n}: dial tcp: connect: connection refused",
}
"""How clients of several libraries and languages say that nobody answers."""


def clients_differ(script: TraceScript, draw: Random) -> None:
    """One service that is down, told by each tool's client in its own words."""
    for tool in draw.sample(_BEHIND, draw.randint(1, 3)):
        words = _CLIENTS[tool].format(host="orders.internal", n=draw.randrange(10**6))
        _fail(script, draw, tool, words)


def clients_apart(script: TraceScript, draw: Random) -> None:
    """A near-miss: each client's words for it, each of a host of its own."""
    tool = next(_IN_TURN)
    host = f"{tool.replace('_', '-')}.internal"
    _fail(script, draw, tool, _CLIENTS[tool].format(host=host, n=draw.randrange(10**6)))


def ways_apart(script: TraceScript, draw: Random) -> None:
    """A near-miss: one host that refuses, limits and times out, each to another tool."""
    words = {
        "find_order": _CLIENTS["find_order"],
        "search_docs": "429, message='Too Many Requests', url='http://{host}:8080/q'",
        "get_status": "HTTPConnectionPool(host='{host}', port=8080): Read timed out.",
    }
    tool = next(_IN_TURN)
    _fail(script, draw, tool, words[tool].format(host="orders.internal", n=draw.randrange(10**6)))


def timeouts_apart(script: TraceScript, draw: Random) -> None:
    """A near-miss: the same words of services that have nothing to do with each other."""
    error = f"TimeoutError: timed out after {draw.randint(5, 60)} s"
    _fail(script, draw, next(_IN_TURN), error)


def unavailable_apart(script: TraceScript, draw: Random) -> None:
    """A near-miss: a status and its standard words."""
    _fail(script, draw, next(_IN_TURN), "HTTP 503: Service Unavailable")


def hosts_apart(script: TraceScript, draw: Random) -> None:
    """A near-miss: the same words, each tool with a host of its own."""
    tool = next(_IN_TURN)
    host = f"{tool.replace('_', '-')}.internal"
    _fail(script, draw, tool, f"502 Server Error: Bad Gateway for url: https://{host}/v1/q")


def not_found_apart(script: TraceScript, draw: Random) -> None:
    """A near-miss: each tool was asked for something that is not there."""
    _fail(script, draw, next(_IN_TURN), "not found")
