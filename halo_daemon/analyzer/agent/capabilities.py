"""
What a provider does not take, learnt from its refusals.

A request is written in full and then adapted. A refusal that names a parameter
teaches one more adaptation; the same refusal twice teaches nothing, so a run
cannot go round in circles.
"""

import re
from dataclasses import dataclass, field
from typing import Self

from halo_daemon.analyzer.agent.messages import as_list, as_object, as_text
from halo_daemon.proto.json_value import JsonObject

MAX_ADAPTATIONS = 4
"""Adaptations learnt in one run."""

_EFFORTS = ("max", "xhigh", "high", "medium", "low", "minimal", "none")
_TOKEN_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_OPTIONAL = ("temperature", "parallel_tool_calls", "stream_options", "store", "strict")
_REFUSAL = re.compile(
    r"unsupported|not support|unrecogni[sz]ed|unknown|unexpected|invalid|not (permitted|allowed)"
    r"|not a valid|must be|extra (inputs?|fields?)|no longer|instead|should be",
    re.IGNORECASE,
)
_NULL_CONTENT = re.compile(r"content.{0,80}(null|none|string type|valid string)", re.IGNORECASE)


@dataclass(slots=True)
class Capabilities:
    """The adaptations known for one provider, by parameter, in the order learnt."""

    learnt: dict[str, str] = field(default_factory=dict)
    """What stands in for a parameter: another name or value, ``""`` for nothing."""

    new: int = 0
    """Adaptations learnt in this run."""

    @classmethod
    def from_json(cls, value: JsonObject) -> Self:
        """Read what `to_json` wrote; anything else is left out."""
        return cls({key: text for key, text in value.items() if isinstance(text, str)})

    def to_json(self) -> JsonObject:
        """The adaptations by parameter."""
        return dict(self.learnt)

    @property
    def uses_chat(self) -> bool:
        """Whether the provider was found not to serve the Responses API."""
        return self.learnt.get("api") == "chat"

    def adapt(self, body: JsonObject) -> JsonObject:
        """A copy of *body* that asks only for what the provider takes."""
        adapted = dict(body)
        for parameter, instead in self.learnt.items():
            _ADAPTERS.get(parameter, _rename_or_drop)(adapted, parameter, instead)
        return adapted

    def learn(self, text: str, param: str, body: JsonObject) -> bool:
        """
        Learn from a refusal.

        Args:
            text: Every word of the error.

            param: The parameter that the error names in a field of its own; may be ``""``.

            body: What was sent, as adapted.

        Returns:
            Whether an adapted request is worth sending.
        """
        if self.new >= MAX_ADAPTATIONS:
            return False
        found = _adaptation_for(text, param, body)
        if found and found[0] in _TOKEN_LIMITS and found[1] in self.learnt:
            # Refused under one name and the other: the provider takes no limit.
            found = (found[0], "")
        if found is None or self.learnt.get(found[0]) == found[1]:
            return False
        self.learnt[found[0]] = found[1]
        self.new += 1
        return True

    def learn_chat_only(self) -> bool:
        """Note that the Responses API is not served; whether that is news."""
        is_news = not self.uses_chat
        self.new += is_news
        self.learnt["api"] = "chat"
        return is_news


def _adaptation_for(text: str, param: str, body: JsonObject) -> tuple[str, str] | None:
    named = _named_parameter(text, param, body)
    if named in _TOKEN_LIMITS:
        others = [name for name in _TOKEN_LIMITS[:2] if name != named]
        return named, others[0] if others[0] in text or named != "max_output_tokens" else ""
    if named in {"reasoning_effort", "reasoning"}:
        return "reasoning_effort", _next_effort(text, body)
    if named == "tool_choice":
        return "tool_choice", "required" if isinstance(body["tool_choice"], dict) else "only"
    if named:
        return named, ""
    if _NULL_CONTENT.search(text) and "messages" in body:
        return "null_content", "empty"
    return None


def _named_parameter(text: str, param: str, body: JsonObject) -> str:
    sent = [*body]
    if _has_strict(body):
        sent.append("strict")
    known = (*_TOKEN_LIMITS, *_OPTIONAL, "reasoning_effort", "reasoning", "tool_choice")
    candidates = [name for name in known if name in sent]
    head = param.split(".", maxsplit=1)[0]
    if head in candidates:
        return head
    if not _REFUSAL.search(text):
        return ""
    return next((name for name in candidates if re.search(rf"\b{name}\b", text)), "")


def _next_effort(text: str, body: JsonObject) -> str:
    effort = as_text(body.get("reasoning_effort")) or as_text(
        as_object(body.get("reasoning")).get("effort")
    )
    if effort not in _EFFORTS or not re.search(rf"['\"`]?{effort}['\"`]?", text):
        return ""
    lower = _EFFORTS[_EFFORTS.index(effort) + 1 :]
    return lower[0] if lower else ""


def _has_strict(body: JsonObject) -> bool:
    tools = [as_object(tool) for tool in as_list(body.get("tools"))]
    return any("strict" in tool or "strict" in as_object(tool.get("function")) for tool in tools)


def _rename_or_drop(body: JsonObject, parameter: str, instead: str) -> None:
    if parameter in body:
        value = body.pop(parameter)
        if instead:
            body[instead] = value


def _adapt_effort(body: JsonObject, _: str, instead: str) -> None:
    if "reasoning_effort" in body:
        body["reasoning_effort"] = instead
    if "reasoning" in body:
        body["reasoning"] = {"effort": instead}
    if not instead:
        body.pop("reasoning_effort", None)
        body.pop("reasoning", None)


def _adapt_tool_choice(body: JsonObject, _: str, instead: str) -> None:
    choice = as_object(body.get("tool_choice"))
    if not choice:
        return
    name = as_text(choice.get("name")) or as_text(as_object(choice.get("function")).get("name"))
    if instead == "required":
        body["tool_choice"] = "required"
    else:
        body.pop("tool_choice")
    body["tools"] = [
        tool for tool in as_list(body.get("tools")) if _tool_name(as_object(tool)) == name
    ]


def _tool_name(tool: JsonObject) -> str:
    return as_text(tool.get("name")) or as_text(as_object(tool.get("function")).get("name"))


def _adapt_strict(body: JsonObject, _: str, __: str) -> None:
    tools = [dict(as_object(tool)) for tool in as_list(body.get("tools"))]
    for tool in tools:
        tool.pop("strict", None)
        if "function" in tool:
            function = dict(as_object(tool["function"]))
            function.pop("strict", None)
            tool["function"] = function
    if tools:
        body["tools"] = [*tools]


def _adapt_null_content(body: JsonObject, _: str, __: str) -> None:
    messages = [as_object(message) for message in as_list(body.get("messages"))]
    body["messages"] = [
        {**message, "content": message.get("content") or ""} for message in messages
    ]


def _keep(_: JsonObject, __: str, ___: str) -> None:
    return


_ADAPTERS = {
    "api": _keep,
    "null_content": _adapt_null_content,
    "reasoning_effort": _adapt_effort,
    "strict": _adapt_strict,
    "tool_choice": _adapt_tool_choice,
}
