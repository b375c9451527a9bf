"""A shop's support bot: order questions answered with the shop's own tools."""

from random import Random

import orjson

from halo_daemon.demo.faults import Mode
from halo_daemon.demo.script import (
    SampleAgent,
    Script,
    ToolSpec,
    ToolStep,
    Turn,
    ask,
    hex_id,
    schema,
)
from halo_daemon.proto.json_value import JsonObject

_TOPICS = (
    ("Where is my order?", "delivery"),
    ("My parcel says delivered but nothing came.", "delivery"),
    ("I was charged twice for one order.", "refund"),
    ("The lamp arrived broken, I want my money back.", "refund"),
    ("Can you send it to another address?", "address"),
)
_NAMES = ("amira", "bela", "chen", "dora", "emeka", "farid", "greta", "hana", "ivo", "jonas")
_GOODS = ("desk lamp", "kettle", "rain coat", "bike light", "notebook", "phone case")


def _json(value: JsonObject | list[JsonObject]) -> str:
    return orjson.dumps(value).decode()


def _shipment_failure(rng: Random, arguments: JsonObject) -> str:
    return (
        f"CarrierTimeoutError: carrier did not answer for shipment {arguments.get('shipment_id')} "
        f"within {rng.randint(20, 40)} s (request {hex_id(rng)})"
    )


def _refund_failure(rng: Random, arguments: JsonObject) -> str:
    return (
        f"PaymentError: refund {hex_id(rng, 16)} for order {arguments.get('order_id')} rejected: "
        f"payment {hex_id(rng, 16)} is already settled"
    )


_TOOLS = (
    ToolSpec(
        "search_orders",
        "Find a customer's orders.",
        schema({"email": "string"}, {"page": "integer"}),
        parts=(("orders_db.query", "CHAIN"),),
    ),
    ToolSpec("get_order", "Read one order.", schema({"order_id": "string"})),
    ToolSpec(
        "track_shipment",
        "Ask the carrier where a shipment is.",
        schema({"shipment_id": "string"}),
        parts=(("carrier_api.request", "CHAIN"),),
        failure=_shipment_failure,
    ),
    ToolSpec("read_policy", "Read the shop's rules on a topic.", schema({"topic": "string"})),
    ToolSpec(
        "issue_refund",
        "Pay an order back.",
        schema({"order_id": "string", "amount": "number"}),
        failure=_refund_failure,
    ),
    ToolSpec(
        "update_address",
        "Change where an order goes.",
        schema({"order_id": "string", "address": "string"}),
    ),
    ToolSpec("send_email", "Write to the customer.", schema({"to": "string", "body": "string"})),
)


def _order(rng: Random) -> JsonObject:
    return {
        "order_id": f"ORD-{rng.randint(10_000, 99_999)}",
        "shipment_id": f"SHP-{rng.randint(100_000, 999_999)}",
        "item": rng.choice(_GOODS),
        "total": rng.randint(900, 9_000) / 100,
        "status": rng.choice(("packed", "shipped", "delivered")),
    }


def _write_script(rng: Random, number: int) -> Script:
    question, topic = _TOPICS[number % len(_TOPICS)]
    customer = rng.choice(_NAMES)
    email = f"{customer}@mail.example"
    orders = [_order(rng) for _ in range(rng.randint(1, 3))]
    order = orders[0]
    order_id, shipment_id = str(order["order_id"]), str(order["shipment_id"])
    turns = [
        ask(ToolStep("search_orders", {"email": email}, _json(orders), duration_ms=180)),
        ask(
            ToolStep("get_order", {"order_id": order_id}, _json(order), duration_ms=60),
            ToolStep("read_policy", {"topic": topic}, f"Policy on {topic}: act within 30 days."),
        ),
        ask(_tracking(rng, shipment_id)),
        *_paging(rng, email, orders),
        *_action(rng, topic, order),
        ask(_mail(email, topic, order_id)),
        Turn(text=f"I looked into order {order_id} and sent the details to {email}. {_END[topic]}"),
    ]
    return Script(
        question=f"{question} I am {customer}, {email}.",
        turns=tuple(turns),
        model=rng.choice(("gpt-5-mini", "gpt-5-mini", "gpt-5")),
        session_id=f"chat-{number // 2:04d}",
        user_id=f"user-{customer}",
        version="3.1.0" if number % 3 else "3.0.4",
    )


_END = {
    "delivery": "The carrier expects to deliver it tomorrow.",
    "refund": "Your money will be back within five days.",
    "address": "It now goes to the new address.",
}


def _tracking(rng: Random, shipment_id: str) -> ToolStep:
    place = rng.choice(("Lyon", "Graz", "Turku", "Porto"))
    result = _json({"shipment_id": shipment_id, "at": place, "state": "in transit"})
    return ToolStep("track_shipment", {"shipment_id": shipment_id}, result, duration_ms=420)


def _paging(rng: Random, email: str, orders: list[JsonObject]) -> list[Turn]:
    """A near-miss: the same tool again, but a page further each time."""
    if rng.random() > 1 / 3:
        return []
    return [
        ask(
            ToolStep(
                "search_orders",
                {"email": email, "page": page},
                _json([{**orders[0], "order_id": f"ORD-{page}{rng.randint(1_000, 9_999)}"}]),
            )
        )
        for page in (2, 3)
    ]


def _action(rng: Random, topic: str, order: JsonObject) -> list[Turn]:
    order_id = order["order_id"]
    if topic == "refund":
        done = _json({"refund_id": f"rf_{hex_id(rng)}", "state": "accepted"})
        arguments: JsonObject = {"order_id": order_id, "amount": order["total"]}
        return [ask(ToolStep("issue_refund", arguments, done, duration_ms=650))]
    if topic == "address":
        address = f"{rng.randint(1, 90)} Mill Lane"
        return [
            ask(ToolStep("update_address", {"order_id": order_id, "address": address}, "updated"))
        ]
    return []


def _mail(email: str, topic: str, order_id: str) -> ToolStep:
    body = f"About your {topic} question on {order_id}: here is what we found."
    return ToolStep("send_email", {"to": email, "body": body}, "queued", duration_ms=90)


SUPPORT_BOT = SampleAgent(
    name="support-bot",
    system_prompt="You answer customers of a shop. Look things up before you answer.",
    provider="openai",
    traces=96,
    tools=_TOOLS,
    write_script=_write_script,
    fault_rates={
        Mode.REPEATED_CALL: 22 / 96,
        Mode.RECOVERED_ERROR: 12 / 96,
        Mode.UNRECOVERED_ERROR: 9 / 96,
    },
    fault_tools={
        Mode.REPEATED_CALL: "search_orders",
        Mode.RECOVERED_ERROR: "track_shipment",
        Mode.UNRECOVERED_ERROR: "issue_refund",
    },
    claim="All done: the refund is on its way and you need not do anything else.",
    made_up_tool="escalate_to_human",
)
