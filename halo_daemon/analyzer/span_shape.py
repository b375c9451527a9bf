"""
The shape of a span: which keys it has, sorted once by what they are good for.

Spans of one application have few sets of keys among them, so what follows from the
keys alone is worked out once for each set. Nothing here looks at a value: that a
shape names a key says that it is there, not that something stands in it.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from halo_daemon.analyzer.orders import find_order_in_name
from halo_daemon.analyzer.outcome import OUTCOME_KEYS
from halo_daemon.proto.span import Span

FINISH_KEYS = (
    "gen_ai.response.finish_reasons",
    "llm.finish_reason",
    "llm.finish_reasons",
    "gen_ai.response.finish_reason",
    "gen_ai.completion.0.finish_reason",
    "ai.response.finishReason",
    "finish_reason",
    "stop_reason",
)
FAILURE_KEYS = frozenset(
    {"error.type", "exception.type", "halo.derived.error"}
    | {"http.response.status_code", "http.status_code"}
)
"""Attributes that may state a failure."""

USAGE_KEYS = frozenset(
    {"inference.llm.input_tokens", "inference.llm.output_tokens", "inference.llm.cost.total"}
)
"""What a model call may have used."""

ASKED_MODEL_KEYS = ("gen_ai.request.model", "llm.request.model_name")
"""Attributes that state the model that was asked for, the most telling first."""

_LIMIT_KEYS = frozenset({"gen_ai.request.max_tokens", "llm.invocation_parameters"})
_MAX_SHAPES = 1_024
_MAX_KEYS = 512
"""Spans with more keys are looked at anew each time, so that shapes stay small."""

_OUTPUT = "llm.output_messages."
_INPUT = "llm.input_messages."
_TOOLS = "llm.tools."
_CONTENT = ("message.content", "message_content.text")
_ROLE = "message.role"
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_DOCUMENTS = ("retrieval.documents.", "reranker.output_documents.")


class Message(NamedTuple):
    """An input message, by its keys; either may be absent from the span."""

    role: str
    content: str


class SpanShape(NamedTuple):
    """Keys in the order in which the span has them, unless something else is said."""

    answers: tuple[str, ...]
    """Contents of output messages."""
    calls: tuple[tuple[tuple[str, str], ...], ...]
    """Calls asked for, by their place; of each its parts (``name``, ``arguments``, …) and keys."""
    tools: tuple[str, ...]
    """Offered tools."""
    finish: tuple[str, ...]
    """Finish reasons, the most telling first."""
    inputs: tuple[str, ...]
    """What the span was given: its input, and all that input messages hold."""
    messages: tuple[Message, ...]
    """Input messages with a role."""
    places: tuple[int, ...]
    """Places of the input messages, in order."""
    newest: Message | None
    """The input message whose content stands last."""
    asked_ids: tuple[str, ...]
    """Ids of calls that input messages say were asked for."""
    answered_ids: tuple[str, ...]
    """Ids of calls that input messages answer."""
    documents: tuple[str, ...]
    """Documents that a search brought."""
    odd: tuple[str, ...]
    """Keys that are orders to a model, or look like messages and answers."""
    may_fail: bool
    """Whether an attribute may state a failure."""
    may_judge: bool
    """Whether an attribute may state the outcome of the run."""
    may_use: bool
    """Whether an attribute may state tokens or cost."""
    may_limit: bool
    """Whether an attribute may state how many tokens may be written."""
    may_swap: bool
    """Whether an attribute may state the model that was asked for."""
    may_be_cut: bool
    """Whether an attribute may state that values were cut."""


def shape_of(span: Span) -> SpanShape:
    """The shape of *span*."""
    keys = tuple(span.attributes)
    return _known_shape(keys) if len(keys) <= _MAX_KEYS else _shape(keys)


def _shape(keys: tuple[str, ...]) -> SpanShape:
    present = frozenset(keys)
    # Prompts repeat what was said before, so nearly all keys of a long run are theirs.
    inputs = [key for key in keys if key.startswith(_INPUT)]
    others = [key for key in keys if not key.startswith(_INPUT)] if inputs else keys
    roles = [key for key in inputs if key.endswith(f".{_ROLE}")]
    contents = [key for key in inputs if key.endswith("message.content")]
    output = [key for key in others if key.startswith(_OUTPUT)]
    return SpanShape(
        answers=tuple(key for key in output if key.endswith(_CONTENT)),
        calls=_calls([key for key in output if not key.endswith(_CONTENT)]),
        tools=tuple(key for key in others if key.startswith(_TOOLS)),
        finish=tuple(key for key in FINISH_KEYS if key in present),
        inputs=tuple(key for key in keys if key == "input.value" or key.startswith(_INPUT)),
        messages=tuple(Message(key, key.removesuffix("role") + "content") for key in roles),
        places=_places(roles),
        newest=_with_role(contents[-1]) if contents else None,
        asked_ids=tuple(key for key in inputs if key.endswith(".tool_call.id")),
        answered_ids=tuple(key for key in inputs if key.endswith(".tool_call_id")),
        documents=tuple(key for key in others if key.startswith(_DOCUMENTS)),
        odd=tuple(key for key in keys if find_order_in_name(key) is not None),
        may_fail=not FAILURE_KEYS.isdisjoint(present),
        may_judge=not OUTCOME_KEYS.isdisjoint(present),
        may_use=not USAGE_KEYS.isdisjoint(present),
        may_limit=not _LIMIT_KEYS.isdisjoint(present),
        may_swap=any(key in present for key in ASKED_MODEL_KEYS),
        may_be_cut="halo.truncated" in present,
    )


_known_shape = lru_cache(maxsize=_MAX_SHAPES)(_shape)


def _with_role(content: str) -> Message:
    return Message(content.removesuffix("message.content") + _ROLE, content)


def _places(roles: list[str]) -> tuple[int, ...]:
    numbers = (key[len(_INPUT) : -len(_ROLE) - 1] for key in roles)
    return tuple(sorted(int(number) for number in numbers if _NUMBER.fullmatch(number)))


def _calls(keys: list[str]) -> tuple[tuple[tuple[str, str], ...], ...]:
    found: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for key in keys:
        parts = key.split(".")
        try:
            place = (int(parts[2]), int(parts[5]))
        except (IndexError, ValueError):
            continue
        if ".tool_call." in key:
            found.setdefault(place, []).append((parts[-1], key))
    return tuple(tuple(parts) for _, parts in sorted(found.items()))
