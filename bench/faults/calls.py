"""Calls that a model writes, leaves open or claims where it should have made them."""

from random import Random

import orjson

from bench.faults.steps import TOOLS, call, order
from halo_daemon.testing.traces import TraceScript


def written(script: TraceScript, draw: Random) -> None:
    """The call stands in the answer, in one of the forms of open models."""
    text = orjson.dumps({"name": "find_order", "arguments": {"order_id": order(draw)}}).decode()
    form = draw.choice(("<tool_call>\n{}\n</tool_call>", "```json\n{}\n```", "[TOOL_CALLS][{}]"))
    script.model(form.format(text), offers=TOOLS, finish="stop")


def placeholder(script: TraceScript, _draw: Random) -> None:
    """An argument is a placeholder, and the tool answers something."""
    call(script, "find_order", {"order_id": "<ORDER_ID>"}, result='{"state": "unknown"}')


_JSON = {"llm.invocation_parameters": '{"response_format": {"type": "json_object"}}'}


def in_form(script: TraceScript, draw: Random) -> None:
    """No failure: JSON was asked for and came."""
    script.model(f'{{"order": "{order(draw)}"}}', offers=TOOLS, finish="stop", **_JSON)


def off_form(script: TraceScript, draw: Random) -> None:
    """JSON was asked for, and words came."""
    script.model(f"The order is {order(draw)}.", offers=TOOLS, finish="stop", **_JSON)
