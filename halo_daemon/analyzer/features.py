"""What a trace has that others may not: tools, models, prompts, versions, first steps."""

from collections.abc import Iterator
from hashlib import blake2b
from itertools import pairwise
from typing import NamedTuple

from halo_daemon.analyzer.content import ModelCall, first_text
from halo_daemon.analyzer.masking import mask_name, mask_volatile
from halo_daemon.analyzer.trace_view import TraceView

MAX_FEATURES = 80
_FIRST_CALLS = 3
_PROMPT_CHARS = 20_000
_TIER_KEYS = ("user.tier", "user.plan", "customer.tier", "tenant.plan", "plan")


class Feature(NamedTuple):
    """One property of a trace."""

    kind: str
    """``tool``, ``tool pair``, ``first calls``, ``model``, ``service.version``, ``agent``,
    ``prompt``, ``tool list`` or ``user tier``."""
    agent: str
    """Whose property it is; ``""`` for those of the whole trace."""
    name: str


def features_of(view: TraceView) -> tuple[Feature, ...]:
    """The features of one trace, sorted, each once, at most eighty."""
    return tuple(sorted(set(_features(view)))[:MAX_FEATURES])


def _features(view: TraceView) -> Iterator[Feature]:
    calls = view.tool_calls
    for subject in view.used_tools:
        yield Feature("tool", subject.agent, subject.name)
    for left, right in pairwise(calls):
        if (left.agent, left.tool) != (right.agent, right.tool):
            yield Feature("tool pair", left.agent, f"{left.tool} → {right.tool}")
    if len(calls) >= _FIRST_CALLS:
        path = " → ".join(call.tool for call in calls[:_FIRST_CALLS])
        yield Feature("first calls", calls[0].agent, path)
    for agent in view.agents:
        yield Feature("agent", "", agent)
    if view.root.service_version:
        yield Feature("service.version", "", view.root.service_version)
    tier = first_text(view.root, _TIER_KEYS).value
    if tier:
        yield Feature("user tier", "", mask_name(tier))
    yield from _model_features(view)


def _model_features(view: TraceView) -> Iterator[Feature]:
    told: set[str] = set()
    for call in view.model_calls:
        agent = view.agent_of(call.span)
        if call.span.model:
            yield Feature("model", agent, call.span.model)
        if agent in told:
            continue
        told.add(agent)
        prompt = _system_prompt(call)
        if prompt:
            yield Feature("prompt", agent, _digest(mask_volatile(prompt[:_PROMPT_CHARS])))
        if call.offered:
            offer = "\0".join(sorted(f"{tool.name} {tool.parameters}" for tool in call.offered))
            yield Feature("tool list", agent, _digest(offer))


def _system_prompt(call: ModelCall) -> str:
    role = call.span.text("llm.input_messages.0.message.role")
    if role in {"system", "developer"}:
        return call.span.text("llm.input_messages.0.message.content")
    return call.span.text("gen_ai.system_instructions")


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
