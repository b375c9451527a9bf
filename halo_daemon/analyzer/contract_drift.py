"""
Definitions of tools that changed: within the window, since the window before, against the contract.

A definition changes when a release changes it. One trace shows only what it was offered,
so drift is told when all traces are known, from the lists that they share. Where the new
definition followed the old one, the runs with the new one are named; where both are in
use side by side, those with the rarer.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from halo_daemon.analyzer.contract import Contract
from halo_daemon.analyzer.features import Feature
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.partial import MAX_CASES, Case, Group, Hit, Partial, SpanRole
from halo_daemon.analyzer.populations import population_of
from halo_daemon.analyzer.rules.results import CONTRACT_DRIFT
from halo_daemon.analyzer.tool_lists import TOOL_LIST, Definition, digest_of, shape_of
from halo_daemon.findings import Certainty, InventoryItem

DEFINITION_KIND = "tool definition"
"""Kind of the inventory's rows that say how a tool was defined."""

WINDOW = "definition"
CONTRACT = "contract"
_MOST_DEFINITIONS = 4
"""A tool with more of them in one window is defined anew for every run, by design."""
_SHOWN = 2


class _Use(NamedTuple):
    """One definition and the traces that offered it."""

    definition: Definition
    traces: dict[str, int]
    """Starts of the traces by id."""

    @property
    def first(self) -> tuple[int, str]:
        return min((start, trace_id) for trace_id, start in self.traces.items())

    @property
    def last(self) -> int:
        return max(self.traces.values())


_Tool = tuple[str, str]
"""Agent and masked tool."""


def add_contract_drift(known: Partial, contract: Contract, before: Iterable[InventoryItem]) -> None:
    """Add a finding for every tool whose definition drifted; adding twice changes nothing."""
    earlier = _earlier(before)
    for (agent, tool), uses in _uses(known).items():
        ordered = sorted(uses, key=lambda use: (use.first, use.definition.digest))
        stated = contract.tools.get(tool)
        if stated is not None and stated.input_schema:
            schema = dict(stated.input_schema)
            off = [use for use in ordered if use.definition.digest != digest_of(schema)]
            for use in off:
                template = _change(shape_of(schema), use.definition.shape)
                key = FindingKey(CONTRACT_DRIFT, agent, tool, CONTRACT, template)
                _show(known, key, use, None, certainty="proved")
            continue
        if len(ordered) > _MOST_DEFINITIONS:
            continue
        past = earlier.get((agent, tool), {})
        if past and not past.keys() & {use.definition.digest for use in ordered}:
            template = _change(min(past.values()), ordered[-1].definition.shape)
            key = FindingKey(CONTRACT_DRIFT, agent, tool, WINDOW, template)
            _show(known, key, ordered[-1], None, certainty="event")
        elif len(ordered) > 1:
            old, new = _old_and_new(ordered)
            template = _change(old.definition.shape, new.definition.shape)
            key = FindingKey(CONTRACT_DRIFT, agent, tool, WINDOW, template)
            _show(known, key, new, old, certainty="event")


def _change(old: str, new: str) -> str:
    return f"({old}) → ({new})"


def _old_and_new(ordered: list[_Use]) -> tuple[_Use, _Use]:
    """The newest definition and the one before it; of two side by side the rarer is the new one."""
    old, new = ordered[-2:]
    if old.last < new.first[0] or len(new.traces) <= len(old.traces):
        return old, new
    return new, old


def _uses(known: Partial) -> dict[_Tool, list[_Use]]:
    by_list: dict[Feature, dict[str, int]] = {}
    for trace_id, facts in known.traces.items():
        for feature in facts.features:
            if feature.kind == TOOL_LIST:
                by_list.setdefault(feature, {})[trace_id] = facts.start_unix_ns
    found: dict[_Tool, dict[str, _Use]] = {}
    # The earliest list comes first, so that a definition is cited from where it began.
    rows = sorted(known.tool_lists.items(), key=lambda row: (row[1][:2], row[0]))
    for feature, offered in rows:
        traces = by_list.get(feature, {})
        for definition in offered.definitions if traces else ():
            uses = found.setdefault((feature.agent, definition.tool), {})
            use = uses.setdefault(definition.digest, _Use(definition, {}))
            use.traces.update(traces)
    return {tool: list(uses.values()) for tool, uses in found.items()}


def _show(
    known: Partial, key: FindingKey, use: _Use, old: _Use | None, *, certainty: Certainty
) -> None:
    """Traces that show *old* and the new definition count for the new one."""
    cited = use.definition.cited
    cases = [Case(-1, 0, use.first[1], (cited,))]
    if old is not None:
        past = old.definition.cited._replace(role="counterexample")
        cases.append(Case(0, 0, old.first[1], (past,)))
    hits = {
        trace_id: Hit(
            roles=(SpanRole(cited.span_id, "symptom", -1),) if trace_id == use.first[1] else (),
            occurrences=1,
            spans=1,
            is_recovered=True,
            wasted=(),
            certainty=certainty,
            is_weak=False,
        )
        for trace_id in sorted(use.traces)
    }
    known.groups[key] = Group(hits, recovered=cases[:MAX_CASES])
    known.eligible.setdefault(population_of(key), set()).update(hits)


def definitions_of(known: Partial) -> Iterator[tuple[Feature, dict[str, int]]]:
    """Rows for the inventory: every definition in use, with the traces that offered it."""
    for (agent, tool), uses in sorted(_uses(known).items()):
        if len(uses) <= _MOST_DEFINITIONS:
            for use in sorted(uses, key=lambda one: one.definition.digest):
                name = f"{tool} {use.definition.digest} {use.definition.shape}"
                yield Feature(DEFINITION_KIND, agent, name), use.traces


def _earlier(before: Iterable[InventoryItem]) -> dict[_Tool, dict[str, str]]:
    """Digest and shape of every definition of the window before."""
    found: dict[_Tool, dict[str, str]] = {}
    for item in before:
        if item.kind == DEFINITION_KIND:
            tool, _, rest = item.name.partition(" ")
            digest, _, shape = rest.partition(" ")
            found.setdefault((item.agent, tool), {})[digest] = shape
    return found
