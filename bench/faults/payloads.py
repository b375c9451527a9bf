"""Failures that a result tells of although the call went through, and results that only seem to."""

from random import Random

from bench.faults.steps import TOPICS, call, order
from halo_daemon.testing.traces import TraceScript

_MENTIONS = (
    "Error handling for {topic}: a guide. Failed forms are listed with what went wrong.",
    "failed: 0, passed: {number}",
    "Errors: 0 of {number} pages about {topic}",
    '{{"errors": [{{"line": {number}, "message": "unused"}}], "file": "{topic}.py"}}',
    '{{"code": 500, "name": "Part 500 of {topic}", "stock": {number}}}',
    "<html><head><title>What is HTTP 404?</title></head><body>{topic} {number}</body></html>",
)


def mentions_errors(script: TraceScript, draw: Random) -> None:
    """A near-miss: the result is about errors, or counts them."""
    topic = draw.choice(TOPICS)
    text = draw.choice(_MENTIONS).format(topic=topic, number=draw.randrange(1, 10**4))
    call(script, "search_docs", {"query": f"errors with {topic}"}, result=text)


def page_of_a_proxy(script: TraceScript, draw: Random) -> None:
    """What answers is not the service."""
    page = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
    call(script, "find_order", {"order_id": order(draw)}, result=page)


def status_in_a_body(script: TraceScript, draw: Random) -> None:
    """The transport says 200, the body says otherwise."""
    number = order(draw)
    body = f'{{"status": 422, "title": "Unprocessable", "detail": "order {number} is archived"}}'
    call(script, "find_order", {"order_id": number}, result=body)


def error_in_german(script: TraceScript, draw: Random) -> None:
    """Words of another language for the same."""
    result = f"Fehler: Kunde {draw.randrange(10**5)} ist gesperrt"
    call(script, "find_order", {"order_id": order(draw)}, result=result)


def errors_in_a_list(script: TraceScript, draw: Random) -> None:
    """How query languages answer: a list of errors, and no data."""
    body = f'{{"errors": [{{"message": "No field \'{draw.choice(TOPICS)}\'"}}], "data": null}}'
    call(script, "search_docs", {"query": draw.choice(TOPICS)}, result=body)
