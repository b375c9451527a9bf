"""Failures that raise no error: what the model makes up, repeats or gives away."""

from random import Random

from bench.faults.steps import TOOLS, TOPICS, call
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.testing.traces import TraceScript

_PROMPT = "You answer for a shop that sells shoes. Look orders up before you speak of them."


def prompt(script: TraceScript, *messages: tuple[str, str]) -> JsonObject:
    """Attributes of a prompt that says how the agent works, and what was said since."""
    told = (("system", _PROMPT), ("user", script.task), *messages)
    sent: JsonObject = {}
    for place, (role, content) in enumerate(told):
        sent[f"llm.input_messages.{place}.message.role"] = role
        sent[f"llm.input_messages.{place}.message.content"] = content
    return sent


def _asks(script: TraceScript, arguments: JsonValue, *messages: tuple[str, str]) -> None:
    calls = [("find_order", arguments)]
    script.model("", calls=calls, offers=TOOLS, finish="tool_calls", **prompt(script, *messages))
    script.tool("find_order", arguments, result='{"state": "held"}')


def made_up_id(script: TraceScript, draw: Random) -> None:
    """The model was told of one order and asks for another."""
    _asks(script, {"order_id": f"B-{draw.randrange(10**7, 10**8)}"})


def given_ids(script: TraceScript, draw: Random) -> None:
    """No failure: ids in another form, and those that a model may choose."""
    number = draw.randrange(10**7, 10**8)
    told = ("user", f"It is order {number // 1000:,}{number % 1000:03}, or the one after it.")
    _asks(script, {"order_id": f"ORD-{number}"}, told)
    _asks(script, {"order_id": str(number + 1)}, told)
    chosen: JsonObject = {"query": "held orders", "request_id": f"r-{draw.randrange(10**8)}"}
    call(script, "search_docs", chosen, result=f"Orders are held for {number % 89} reasons.")


def endless_phrase(script: TraceScript, draw: Random) -> None:
    """The model falls into a phrase and does not get out before the limit of tokens."""
    word = draw.choice(("nice", "fine", "good"))
    text = f"Your shoes are {word} " + f"and {word} " * draw.randint(60, 300)
    script.model(text, offers=TOOLS, finish="length", **prompt(script))


def told_prompt(script: TraceScript, _draw: Random) -> None:
    """The user is told the instructions."""
    script.model(f"My instructions are: {_PROMPT}", offers=TOOLS, **prompt(script))


def likes_repetition(script: TraceScript, draw: Random) -> None:
    """No failure: lines that were asked for, a table of equal rows, words like those of the prompt."""
    line = f"I must return my {draw.choice(TOPICS)} in time."
    wanted = ("user", f"Write {line!r} thirty times, please.")
    script.model(f"{line}\n" * 30, offers=TOOLS, **prompt(script, wanted))
    script.model("Days:\n" + "| open | open |\n" * 60, offers=TOOLS, **prompt(script))
    script.model("I answer for a shop that sells shoes.", offers=TOOLS, **prompt(script))
