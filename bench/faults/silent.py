"""Failures that raise no error: what a model makes up or gives away, and what comes again."""

from random import Random

from bench.faults.steps import TOOLS, TOPICS, call, order
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.testing.traces import TraceScript

_PROMPT = "You answer for a shop that sells shoes. Look orders up before you speak of them."


def _prompt(*messages: tuple[str, str]) -> JsonObject:
    """Attributes of a prompt that says how the agent works, and what is new since."""
    told = (("system", _PROMPT), *messages)
    sent: JsonObject = {}
    for place, (role, content) in enumerate(told):
        sent[f"llm.input_messages.{place}.message.role"] = role
        sent[f"llm.input_messages.{place}.message.content"] = content
    return sent


def _asks(script: TraceScript, arguments: JsonValue, *messages: tuple[str, str]) -> None:
    calls = [("find_order", arguments)]
    script.model("", calls=calls, offers=TOOLS, finish="tool_calls", **_prompt(*messages))
    script.tool("find_order", arguments, result='{"state": "held"}')


def made_up_id(script: TraceScript, draw: Random) -> None:
    """The model was told of no such order and asks for it."""
    told = (("assistant", "Which order?"), ("user", "The shoes. I have no number at hand."))
    _asks(script, {"order_id": f"B-{draw.randrange(10**7, 10**8)}"}, *told)


def given_ids(script: TraceScript, draw: Random) -> None:
    """No failure: ids in another form, and those that a model may choose."""
    number = draw.randrange(10**7, 10**8)
    told = ("user", f"It is order {number // 1000:,}{number % 1000:03}, or the one after it.")
    _asks(script, {"order_id": f"ORD-{number}"}, told)
    _asks(script, {"order_id": str(number + 1)})
    chosen: JsonObject = {"query": "held orders", "request_id": f"r-{draw.randrange(10**8)}"}
    call(script, "search_docs", chosen, result=f"Orders are held for {number % 89} reasons.")


def endless_phrase(script: TraceScript, draw: Random) -> None:
    """The model falls into a phrase and does not get out before the limit of tokens."""
    word = draw.choice(("nice", "fine", "good"))
    text = f"Your shoes are {word} " + f"and {word} " * draw.randint(60, 300)
    script.model(text, offers=TOOLS, finish="length", **_prompt())


def told_prompt(script: TraceScript, _draw: Random) -> None:
    """The user is told the instructions."""
    script.model(f"My instructions are: {_PROMPT}", offers=TOOLS, **_prompt())


def likes_repetition(script: TraceScript, draw: Random) -> None:
    """No failure: lines that were asked for, a table of equal rows, words like those of the prompt."""
    line = f"I must return my {draw.choice(TOPICS)} in time."
    wanted = ("user", f"Write {line!r} thirty times, please.")
    script.model(f"{line}\n" * 30, offers=TOOLS, **_prompt(wanted))
    script.model("Days:\n" + "| open | open |\n" * 60, offers=TOOLS, **_prompt())
    script.model("I answer for a shop that sells shoes.", offers=TOOLS, **_prompt())


def hand_off_circle(script: TraceScript, draw: Random) -> None:
    """Two agents, each of which waits for the other."""
    for _ in range(draw.randint(3, 5)):
        _says(script, "stock", "I need the size first and hand over to sizes.")
        _says(script, "sizes", "I need to know what is in stock first.")


def group_chat(script: TraceScript, draw: Random) -> None:
    """No failure: the same two agents in turn, who get on."""
    for topic in draw.sample(TOPICS, 3):
        _says(script, "stock", f"On {topic} I have {draw.randrange(100)} of them.")
        _says(script, "sizes", "Go on with the next one, please.")


def _says(script: TraceScript, agent: str, text: str) -> None:
    script.model(text, offers=TOOLS, **{"inference.agent_name": agent})


def stuck_lookup(script: TraceScript, draw: Random) -> None:
    """A cache that gives one order for every other one."""
    found = f'{{"state": "sent", "id": "{order(draw)}"}}'
    for _ in range(3):
        call(script, "find_order", {"order_id": order(draw)}, result=found)


def one_for_many(script: TraceScript, draw: Random) -> None:
    """No failure: one page answers a question in all words that it is asked in."""
    found = f"All that is said of it stands on page {draw.randrange(10**4, 10**5)}. " * 3
    for words in ("money back", "refund", "return of goods"):
        call(script, "search_docs", {"query": words}, result=found)
