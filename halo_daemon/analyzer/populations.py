"""
What a finding's denominator counts: the traces that could have shown it.

A pure function of the finding's key, so that a finding known from an earlier
report has its denominator also in a window that does not show it.
"""

from collections.abc import Iterable
from typing import NamedTuple

from halo_daemon.analyzer.fingerprint import FindingKey


class Population(NamedTuple):
    """A set of traces by what they did."""

    unit: str
    """``span``: ran a span of that name; ``repeated``: called that tool twice or more;
    ``failed``: saw that tool fail; ``model``: called that model; ``requested``: asked for
    that tool; ``agent``: ran that agent; ``session``: ran that agent and was gone on from, in
    its conversation or by another trace of its session; others belong to the rule that names them."""
    agent: str
    name: str


_UNITS: dict[str, str] = {
    "bad_arguments": "span",
    "blind_retry": "failed",
    "costly": "span",
    "degenerate_output": "model",
    "double_side_effect": "span",
    "echoed_result": "span",
    "empty_result": "span",
    "failed_value_used": "span",
    "filtered_output": "model",
    "heavy": "span",
    "infra_error": "span",
    "injection_text": "span",
    "near_repeat": "repeated",
    "output_format": "model",
    "precondition": "span",
    "premature_end": "requested",
    "repeated_call": "repeated",
    "slow": "span",
    "span_error": "span",
    "stuck_lookup": "repeated",
    "tool_error": "span",
    "truncated_output": "model",
    "written_call": "model",
    "ungrounded_argument": "requested",
}
"""
Unit by rule; the traces of the agent for all others.

A made-up tool is among those: what does not exist has no users to count among.
"""


def population_of(key: FindingKey) -> Population:
    """The traces that could have shown the finding with that key."""
    unit = _UNITS.get(key.rule, "agent")
    if key.rule == "bad_arguments" and key.error_type == "schema":
        unit = "requested"
    if key.rule == "contract_drift" and key.error_type == "result":
        unit = "span"
    if key.rule == "negative_feedback" and key.error_type == "asked again":
        return Population("session", key.agent, "")
    if unit == "agent" or not key.subject:
        return Population("agent", key.agent, "")
    return Population(unit, key.agent, key.subject)


def populations_of(key: FindingKey, subjects: Iterable[tuple[str, str]]) -> set[Population]:
    """The same for a finding of several subjects, agent and name; of the key's own for none."""
    keys = [key._replace(agent=agent, subject=name) for agent, name in subjects]
    return {population_of(each) for each in keys or [key]}
