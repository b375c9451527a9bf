"""Failures in the words of frameworks and services, limits met late, and work that looks like both."""

from random import Random

from bench.faults.steps import call, order
from halo_daemon.testing.traces import TraceScript


def framework_words(script: TraceScript, draw: Random) -> None:
    """What a framework writes in place of the result that did not come."""
    text = f"I encountered an error while trying to use the tool. This was the error: {_lock(draw)}"
    call(script, "find_order", {"order_id": order(draw)}, result=text)


def timeout_in_words(script: TraceScript, draw: Random) -> None:
    """A time-out that is told as a result."""
    text = f"The request timed out after {draw.randint(5, 60)} seconds. Please try again later."
    call(script, "find_order", {"order_id": order(draw)}, result=text)


def expired_login(script: TraceScript, draw: Random) -> None:
    """A session that is over, as a gateway says it."""
    text = '{"message": "The incoming token has expired"}'
    call(script, "find_order", {"order_id": order(draw)}, result=text)


def login_page(script: TraceScript, draw: Random) -> None:
    """The page to log in at, in place of an order."""
    page = "<!DOCTYPE html><html><head><title>Sign in - Shop</title></head><body></body></html>"
    call(script, "find_order", {"order_id": order(draw)}, result=page)


def enveloped(script: TraceScript, draw: Random) -> None:
    """An error in the parts of a result that is marked as none."""
    said = f"Error: {_lock(draw)}"
    text = f'{{"content": [{{"type": "text", "text": "{said}"}}], "isError": false}}'
    call(script, "find_order", {"order_id": order(draw)}, result=text)


def hand_off_tools(script: TraceScript, _draw: Random) -> None:
    """Two agents that hand over to each other until one answers all the same."""
    for _ in range(4):
        call(script, "transfer_to_billing", {}, result="billing")
        call(script, "transfer_to_support", {}, result="support")


def limit_after_recovery(script: TraceScript, draw: Random) -> None:
    """A tool fails and works again; much later the run meets its limit on turns."""
    number = order(draw)
    call(script, "find_order", {"order_id": number}, error="HTTP 503")
    call(script, "find_order", {"order_id": number}, result='{"state": "held"}')
    script.fails("MaxTurnsExceeded: Max turns (10) exceeded")


def one_after_the_other(script: TraceScript, draw: Random) -> None:
    """No failure: the same is done to many things."""
    numbers = [order(draw) for _ in range(5)]
    call(script, "search_docs", {"query": "orders to check"}, result=", ".join(numbers))
    for number in numbers:
        call(script, "tag_entry", {"order_id": number, "as": "checked"}, result="ok")


def keys_pressed(script: TraceScript, _draw: Random) -> None:
    """No failure: a form is gone through key by key."""
    for _ in range(4):
        call(script, "press_key", {"key": "Tab"}, result="Pressed key Tab")


def logs_shown(script: TraceScript, draw: Random) -> None:
    """No failure: what the logs of another program hold."""
    text = f"Traceback (most recent call last):\n  File a.py\nKeyError: 'k{draw.randrange(99)}'"
    call(script, "get_logs", {"of": order(draw)}, result=text)


def _lock(draw: Random) -> str:
    return f"customer {draw.randrange(10**5)} is locked"
