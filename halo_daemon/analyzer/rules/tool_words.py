"""What a tool's name says of it: that it waits, that it writes, that it runs anything."""

import re
from functools import lru_cache

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_REPEAT_IS_NORMAL = frozenset(
    {"check", "continue", "heartbeat", "hotkey", "keypress", "monitor", "next", "page", "pagedown"}
    | {"pageup", "ping", "plan", "poll", "press", "progress", "redo", "scroll", "sleep", "status"}
    | {"swipe", "think", "todo", "undo", "wait", "watch", "zoom"}
)
_RUNS_ANYTHING = frozenset(
    {"bash", "browser", "cmd", "code", "command", "computer", "console", "exec", "execute"}
    | {"interpreter", "kubectl", "powershell", "psql", "python", "repl", "run", "sh", "shell"}
    | {"sql", "ssh", "terminal"}
)
_WRITES = frozenset(
    {"add", "append", "apply", "book", "buy", "cancel", "charge", "commit", "create", "delete"}
    | {"edit", "email", "exchange", "insert", "install", "merge", "modify", "move", "order"}
    | {"patch", "pay", "post", "publish", "push", "put", "refund", "remove", "rename", "replace"}
    | {"reserve", "return", "save", "schedule", "send", "set", "store", "submit", "transfer"}
    | {"update", "upload", "write"}
)
_LOOKS = frozenset(
    {"check", "count", "describe", "fetch", "find", "get", "inspect", "is", "list", "look"}
    | {"lookup", "query", "read", "retrieve", "search", "show", "view"}
)
_WAYS = frozenset({"by", "from", "through", "using", "via", "with"})
_HANDS_OVER = frozenset({"delegate", "escalate", "forward", "handoff", "handover", "transfer"})
_PEOPLE = frozenset({"agent", "agents", "human", "humans", "operator", "person", "support"})
_HANDS_TO = frozenset(
    {("hand", "off"), ("hand", "over"), ("handoff", "to"), ("transfer", "to")}
    | {("transfer", "call"), ("forward", "call")}
)
"""How tools begin that are named after the agent which goes on: `transfer_to_billing`."""

_OF_MONEY = frozenset(
    {"account", "bank", "beneficiary", "card", "iban", "payee", "savings", "wallet"}
)
"""What is transferred to these is no run of an agent."""

_FINISHES = frozenset(
    {"answer", "attemptcompletion", "completetask", "done", "end", "endcall", "endchat"}
    | {"endconversation", "endsession", "exit", "finalanswer", "finish", "hangup", "hangupcall"}
    | {"finalresponse", "finishtask", "giveanswer", "respond", "returnanswer", "submit"}
    | {"submitanswer", "submitfinalanswer", "taskcomplete", "taskdone", "terminate"}
)
_PAGES = frozenset(
    {"browse", "crawl", "fetch", "goto", "navigate", "page", "pages", "scrape", "site", "url"}
    | {"urls", "visit", "web", "webpage", "website"}
)
_MOVES = frozenset(
    {"clear", "click", "drag", "fill", "go", "goto", "login", "logout", "navigate", "open"}
    | {"press", "reset", "select", "start", "stop", "toggle", "type", "visit"}
)


@lru_cache(maxsize=4096)
def word_list(name: str) -> tuple[str, ...]:
    """Words in a name, in lower case and in order: ``searchOrders_v2`` is search, orders, v, 2."""
    return tuple(word.lower() for word in _WORDS.findall(name))


@lru_cache(maxsize=4096)
def words_of(name: str) -> frozenset[str]:
    """The same in no order, each once."""
    return frozenset(word_list(name))


@lru_cache(maxsize=4096)
def purpose_of(name: str) -> frozenset[str]:
    """
    What a tool is for, by its name; empty for names of one word.

    What follows a preposition is only the way: `find_user_by_email` and
    `findUserByName` are for the same, and so are `search_web` and `web_search`.
    """
    words = [word for word in word_list(name) if not word.isdecimal()]
    way = next((place for place, word in enumerate(words) if word in _WAYS), len(words))
    return frozenset(words[:way]) if way > 1 else frozenset()


@lru_cache(maxsize=4096)
def repeats_are_normal(tool: str) -> bool:
    """Whether the name says that the tool waits, polls, pages or takes notes."""
    return not words_of(tool).isdisjoint(_REPEAT_IS_NORMAL)


@lru_cache(maxsize=4096)
def runs_anything(tool: str) -> bool:
    """Whether the name says that the tool runs whatever it is given."""
    return not words_of(tool).isdisjoint(_RUNS_ANYTHING)


@lru_cache(maxsize=4096)
def hands_over(tool: str) -> bool:
    """Whether the name says that the tool hands the run to a person or to another agent."""
    words = words_of(tool)
    if word_list(tool)[:2] in _HANDS_TO:
        return words.isdisjoint(_OF_MONEY)
    return not (words.isdisjoint(_HANDS_OVER) or words.isdisjoint(_PEOPLE))


@lru_cache(maxsize=4096)
def finishes(tool: str) -> bool:
    """Whether the name says that the call ends the run and hands its answer over."""
    return tool.replace("_", "").replace("-", "").casefold() in _FINISHES


@lru_cache(maxsize=4096)
def looks(tool: str) -> bool:
    """Whether the name says that the tool only looks: ``get_order`` orders nothing."""
    return not words_of(tool).isdisjoint(_LOOKS)


@lru_cache(maxsize=4096)
def writes(tool: str) -> bool:
    """Whether the name says that the tool changes something outside the agent."""
    return not (words_of(tool).isdisjoint(_WRITES) or looks(tool))


@lru_cache(maxsize=4096)
def changes_state(tool: str) -> bool:
    """Whether the tool may change what other calls see."""
    return writes(tool) or runs_anything(tool) or not words_of(tool).isdisjoint(_MOVES)


@lru_cache(maxsize=4096)
def opens_pages(tool: str) -> bool:
    """Whether the name says that the tool fetches pages which whoever calls it chooses."""
    return not words_of(tool).isdisjoint(_PAGES)
