"""Agent trajectories in ATIF, versions 1.0 to 1.7."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from halo_daemon.exchange.draft import Draft, leftovers, request_of
from halo_daemon.exchange.files import MAX_RECORD_BYTES
from halo_daemon.exchange.incoming import Incoming, Input, Request, Skipped
from halo_daemon.exchange.iso_times import iso_unix_ns
from halo_daemon.exchange.json_records import json_records
from halo_daemon.exchange.record_files import UNREADABLE
from halo_daemon.exchange.values import (
    as_text,
    count,
    items,
    mapping,
    needed,
    objects,
    text,
    texts_of,
)
from halo_daemon.proto.json_value import JsonObject, JsonValue

SOURCE: Final = "atif"

_MAX_DEPTH = 8
"""Agents below agents; what is deeper is counted and left out."""

_KNOWN: Final = frozenset(
    [
        "schema_version",
        "session_id",
        "trajectory_id",
        "agent",
        "steps",
        "final_metrics",
        "subagent_trajectories",
    ]
)
_KNOWN_STEP: Final = frozenset(
    [
        "step_id",
        "timestamp",
        "source",
        "message",
        "reasoning_content",
        "model_name",
        "tool_calls",
        "observation",
        "metrics",
        "is_copied_context",
    ]
)


def read_atif(source: Input) -> Iterator[Incoming]:
    """Read trajectories, one a document; a bad step costs only itself."""
    for record in json_records(source):
        if record.value is None:
            yield Skipped(record.reason, record.where)
            continue
        found = record.value
        agent = found.get("agent")
        if not isinstance(agent, dict) or not isinstance(found.get("steps"), list):
            yield Skipped("not a trajectory", record.where)
            continue
        session = text(found.get("session_id")) or text(found.get("trajectory_id")) or source.name
        walk = _Walk(session, source.directory)
        walk.take(found)
        for where in walk.skipped:
            yield Skipped("not a step", f"{record.where}, {where}")
        resource: JsonObject = {
            "service.name": text(agent.get("name")) or source.name,
            "service.version": text(agent.get("version")),
        }
        yield Request(request_of(SOURCE, walk.drafts, resource=resource))


class _Agent(NamedTuple):
    """One agent of a trajectory, while its steps are taken."""

    about: JsonObject
    root: str
    """Its span."""
    path: str
    """What the ids of its spans begin with."""
    inner: dict[str, JsonObject]
    """Trajectories inside its own, by id."""
    depth: int


@dataclass
class _Walk:
    """One trajectory and those that it started, as one trace."""

    trace: str
    directory: Path | None
    drafts: list[Draft] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def take(self, found: JsonObject, *, parent: str = "", path: str = "", depth: int = 0) -> None:
        """Add one agent with its steps below *parent*."""
        about = mapping(found.get("agent"))
        agent = _Agent(about, f"{path}root", path, _inside(found), depth)
        steps = [mapping(one) for one in items(found.get("steps"))]
        kept = [step for step in steps if not step.get("is_copied_context")]
        first = next((ns for step in kept if (ns := iso_unix_ns(step.get("timestamp")))), None)
        name = text(about.get("name")) or "agent"
        root = self._add(agent.root, name, kind="AGENT", at=first, attributes=_about(found, name))
        root.parent = parent
        for place, step in enumerate(kept, start=1):
            try:
                self._step(step, agent)
            except UNREADABLE:
                self.skipped.append(f"{path}step {place}")

    def _step(self, step: JsonObject, agent: _Agent) -> None:
        own = f"{agent.path}step-{needed(step, 'step_id')}"
        speaker = text(step.get("source"))
        at = iso_unix_ns(step.get("timestamp"))
        attributes: JsonObject = {
            "import.atif.reasoning": as_text(step.get("reasoning_content")),
            **dict(leftovers(SOURCE, step, _KNOWN_STEP)),
        }
        if speaker == "agent":
            model = text(step.get("model_name")) or text(agent.about.get("model_name"))
            attributes |= {
                "output.value": _said(step.get("message")),
                "llm.model_name": model or None,
                **_usage(step.get("metrics")),
            }
            self._add(
                own, model or speaker, kind="LLM", at=at, attributes=attributes
            ).parent = agent.root
        else:
            attributes["input.value"] = _said(step.get("message"))
            self._add(
                own, speaker or "step", kind="CHAIN", at=at, attributes=attributes
            ).parent = agent.root
        self._calls(step, own, at, agent)

    def _calls(self, step: JsonObject, own: str, at: int | None, agent: _Agent) -> None:
        results = objects(mapping(step.get("observation")).get("results"))
        outputs = {text(one.get("source_call_id")) or f"#{n}": one for n, one in enumerate(results)}
        for place, call in enumerate(objects(step.get("tool_calls"))):
            call_id = text(call.get("tool_call_id")) or str(place)
            result = outputs.pop(call_id, {})
            tool = text(call.get("function_name")) or "tool"
            attributes: JsonObject = {
                "tool.name": tool,
                "input.value": as_text(call.get("arguments")),
                "output.value": _said(result.get("content")),
                "import.atif.tool_call_id": call_id,
            }
            span = self._add(f"{own}/{call_id}", tool, kind="TOOL", at=at, attributes=attributes)
            span.parent = own
            self._subagents(result, span.span, agent)
        # What no call of this step asked for: the surroundings spoke.
        for place, result in enumerate(outputs.values()):
            said: JsonObject = {"output.value": _said(result.get("content"))}
            span = self._add(
                f"{own}/observation-{place}", "observation", kind="CHAIN", at=at, attributes=said
            )
            span.parent = own
            self._subagents(result, span.span, agent)

    def _subagents(self, result: JsonObject, parent: str, agent: _Agent) -> None:
        told = result.get("subagent_trajectory_ref")
        references = objects(told) if isinstance(told, list) else objects([told])
        for place, reference in enumerate(references):
            names = (text(reference.get(key)) for key in ("trajectory_id", "session_id"))
            found = next((agent.inner[name] for name in names if name in agent.inner), None)
            found = found or self._from_file(reference)
            if found is None or agent.depth >= _MAX_DEPTH:
                self.skipped.append(f"{parent}: sub-agent {place + 1} is not here")
            else:
                path = f"{parent}/agent-{place}/"
                self.take(found, parent=parent, path=path, depth=agent.depth + 1)

    def _from_file(self, reference: JsonObject) -> JsonObject | None:
        """A trajectory in a file below this one's directory; None for any other."""
        name = text(reference.get("trajectory_path"))
        if not name or self.directory is None:
            return None
        try:
            path = (self.directory / name).resolve()
            if not path.is_relative_to(self.directory.resolve()):
                return None
            if path.stat().st_size > MAX_RECORD_BYTES:
                return None
            found = orjson.loads(path.read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and isinstance(found.get("steps"), list) else None

    def _add(
        self, span: str, name: str, *, kind: str, at: int | None, attributes: JsonObject
    ) -> Draft:
        whole: JsonObject = {"session.id": self.trace, **attributes}
        self.drafts.append(Draft(self.trace, span, name, kind, at, attributes=whole))
        return self.drafts[-1]


def _about(found: JsonObject, name: str) -> JsonObject:
    """What a trajectory says of its agent as a whole."""
    totals = mapping(found.get("final_metrics"))
    tools = mapping(found.get("agent")).get("tool_definitions")
    return {
        "agent.name": name,
        "llm.token_count.prompt": count(totals.get("total_prompt_tokens")),
        "llm.token_count.completion": count(totals.get("total_completion_tokens")),
        "llm.cost.total": _number(totals.get("total_cost_usd")),
        "import.atif.tool_definitions": as_text(tools) if tools else None,
        **dict(leftovers(SOURCE, found, _KNOWN)),
    }


def _inside(found: JsonObject) -> dict[str, JsonObject]:
    """Trajectories inside this one, by both of their ids."""
    return {
        name: one
        for one in objects(found.get("subagent_trajectories"))
        for key in ("session_id", "trajectory_id")
        if (name := text(one.get(key)))
    }


def _said(message: JsonValue) -> str | None:
    """A message's text; one with images as JSON, with nothing left out."""
    parts = items(message)
    if parts and all(text(mapping(part).get("type")) == "text" for part in parts):
        return texts_of(message)
    return as_text(message)


def _usage(metrics: JsonValue) -> JsonObject:
    counts = mapping(metrics)
    return {
        "llm.token_count.prompt": count(counts.get("prompt_tokens")),
        "llm.token_count.completion": count(counts.get("completion_tokens")),
        "llm.token_count.prompt_details.cache_read": count(counts.get("cached_tokens")),
        "llm.cost.total": _number(counts.get("cost_usd")),
    }


def _number(value: JsonValue) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
