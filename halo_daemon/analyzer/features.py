"""What a trace has that others may not: tools, models, prompts, versions, first steps."""

from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from typing import NamedTuple

from halo_daemon.analyzer.content import ModelCall, first_text
from halo_daemon.analyzer.masking import mask_name, mask_volatile
from halo_daemon.analyzer.trace_view import TraceView

MAX_FEATURES = 80
ATTRIBUTES = frozenset({"agent", "model", "prompt", "service.version", "tool list", "user tier"})
"""Kinds that say what a run was given, not what it did."""

_FIRST_CALLS = 4
_MIN_CALLS = 4
_PROMPT_CHARS = 20_000
_KNOWN_FEATURES = 4096
_TIER_KEYS = ("user.tier", "user.plan", "customer.tier", "tenant.plan", "plan")


class Feature(NamedTuple):
    """One property of a trace."""

    kind: str
    """``tool``, ``tool mostly``, ``tool pair``, ``tool triple``, ``first calls``, ``model``,
    ``service.version``, ``agent``, ``prompt``, ``tool list`` or ``user tier``."""
    agent: str
    """Whose property it is; ``""`` for those of the whole trace."""
    name: str


@lru_cache(maxsize=_KNOWN_FEATURES)
def _feature(kind: str, agent: str, *names: str) -> Feature:
    """One object for each feature: a report keeps those of every trace, and they are few."""
    return Feature(kind, agent, " → ".join(names))


def both_of(left: Feature, right: Feature) -> Feature:
    """The conjunction of two features, named by both."""
    name = " and ".join(f"{part.kind} {part.name}" for part in (left, right))
    return Feature("both", left.agent or right.agent, name)


def features_of(view: TraceView) -> tuple[Feature, ...]:
    """
    The features of one trace, sorted, each once, at most eighty.

    What the run was given comes first, so that a run of many tools does not crowd it out.
    """
    kept = dict.fromkeys((*sorted(set(_given(view))), *_done(view)))
    return tuple(sorted(list(kept)[:MAX_FEATURES]))


def _given(view: TraceView) -> Iterator[Feature]:
    for agent in view.agents:
        yield _feature("agent", "", agent)
    if view.root.service_version:
        yield _feature("service.version", "", view.root.service_version)
    tier = first_text(view.root, _TIER_KEYS).value
    if tier:
        yield _feature("user tier", "", mask_name(tier))
    yield from _model_features(view)


def _done(view: TraceView) -> Iterator[Feature]:
    """Tools, then where the run began, then what followed what."""
    calls = view.tool_calls
    names = [call.tool for call in calls]
    for subject, used in view.used_tools.items():
        yield _feature("tool", subject.agent, subject.name)
        # A share, because a plain count would only say once more how long the run was.
        if len(calls) >= _MIN_CALLS and 2 * used >= len(calls):
            yield _feature("tool mostly", subject.agent, subject.name)
    # The shortest beginning that goes with failure is where failed runs part from others.
    # One tool over and over again would only say how long the run was.
    for length in range(2, min(_FIRST_CALLS, len(calls)) + 1):
        if len(set(names[:length])) > 1:
            yield _feature("first calls", calls[0].agent, *names[:length])
    pairs = {(left.agent, left.tool, right.agent, right.tool) for left, right in pairwise(calls)}
    for agent, tool, next_agent, next_tool in sorted(pairs):
        if (agent, tool) != (next_agent, next_tool):
            yield _feature("tool pair", agent, tool, next_tool)
    for first, second, third in sorted(set(zip(names, names[1:], names[2:], strict=False))):
        if len({first, second, third}) == 3:  # noqa: PLR2004 -- a triple has three
            yield _feature("tool triple", calls[0].agent, first, second, third)


def _model_features(view: TraceView) -> Iterator[Feature]:
    for subject in {(call.agent, call.model) for call in view.model_calls}:
        if subject[1]:
            yield _feature("model", *subject)
    told: set[str] = set()
    for call in view.model_calls:
        agent = call.agent
        if agent in told:
            continue
        told.add(agent)
        prompt = _system_prompt(call)
        if prompt:
            yield _feature("prompt", agent, _digest(mask_volatile(prompt[:_PROMPT_CHARS])))
        if call.offered:
            offer = "\0".join(sorted(f"{tool.name} {tool.parameters}" for tool in call.offered))
            yield _feature("tool list", agent, _digest(offer))


def _system_prompt(call: ModelCall) -> str:
    role = call.span.text("llm.input_messages.0.message.role")
    if role in {"system", "developer"}:
        return call.span.text("llm.input_messages.0.message.content")
    return call.span.text("gen_ai.system_instructions")


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
