"""What the plain agent of the catalogue works with: its tools, and one call of one."""

from random import Random

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.testing.traces import TraceScript

TOOLS: JsonObject = {
    "find_order": {
        "type": "object",
        "required": ["order_id"],
        "properties": {"order_id": {"type": "string"}},
        "additionalProperties": False,
    },
    "search_docs": {
        "type": "object",
        "required": ["query"],
        "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}},
    },
    "refund_order": {"type": "object", "properties": {"order_id": {"type": "string"}}},
    "send_mail": {"type": "object", "properties": {"to": {"type": "string"}}},
    "list_alerts": {"type": "object", "properties": {"since": {"type": "string"}}},
    "get_status": {"type": "object", "properties": {"job": {"type": "string"}}},
    "transfer_to_billing": {"type": "object", "properties": {}},
    "transfer_to_support": {"type": "object", "properties": {}},
    "tag_entry": {"type": "object", "properties": {"order_id": {"type": "string"}}},
    "press_key": {"type": "object", "properties": {"key": {"type": "string"}}},
    "get_logs": {"type": "object", "properties": {"of": {"type": "string"}}},
}
TOPICS = ("returns", "delivery", "invoice", "warranty", "sizes", "vouchers", "address")


def call(
    script: TraceScript,
    name: str,
    arguments: JsonValue,
    *,
    result: str = "",
    error: str = "",
    says: str = "Let me look.",
) -> None:
    """A model call that asks for a tool, and the tool's answer."""
    script.model(says, calls=[(name, arguments)], offers=TOOLS, finish="tool_calls")
    script.tool(name, arguments, result=result, error=error)


def order(draw: Random) -> str:
    """An order number."""
    return f"A-{draw.randrange(10**6):06d}"


def order_in(text: str) -> str:
    """The order number that *text* names, be it in small letters."""
    return next(word for word in text.upper().replace("?", " ").split() if word.startswith("A-"))
