"""Calls of tools that were not offered, and calls that the offered schema does not allow."""

from collections.abc import Iterator
from typing import NamedTuple

from halo_daemon.analyzer.content import (
    ModelCall,
    OfferedTool,
    RequestedCall,
    bare_name,
    parse_json,
)
from halo_daemon.analyzer.contract import schema_of
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.json_schema import violation
from halo_daemon.analyzer.masking import mask_name
from halo_daemon.analyzer.observation import Observation, Quote, RuleOutput, over_units, quote
from halo_daemon.analyzer.rules.errors import (
    BAD_ARGUMENTS,
    MADE_UP_TOOL,
    decision_quote,
    observe_errors,
    rule_of,
)
from halo_daemon.analyzer.rules.placeholders import may_hold_placeholder, placeholder_in
from halo_daemon.analyzer.together import together
from halo_daemon.analyzer.trace_view import TraceView

PLACEHOLDER = "placeholder"


def check_made_up_tools(view: TraceView) -> RuleOutput:
    """Calls of a name that the same LLM span does not offer, or that a tool runner refused."""
    offering = [call for call in view.model_calls if call.offered]
    observations = list(observe_errors(view, MADE_UP_TOOL).observations)
    named = {observation.key.subject for observation in observations}
    for call in offering:
        if not call.requested:
            continue
        names = {bare_name(tool.name) for tool in call.offered}
        for requested in call.requested:
            subject = mask_name(requested.name)
            if requested.name and bare_name(requested.name) not in names and subject not in named:
                observations.append(_made_up(view, call, requested))
    return over_units(
        observations, view.agent_populations, checked=len(offering), of=len(view.model_calls)
    )


def _made_up(view: TraceView, call: ModelCall, requested: RequestedCall) -> Observation:
    agent = view.agent_of(call.span)
    return Observation(
        key=FindingKey(MADE_UP_TOOL, agent, mask_name(requested.name), "", ""),
        quotes=(decision_quote(call.span),),
        certainty="proved",
    )


def check_arguments(view: TraceView) -> RuleOutput:
    """Arguments that a tool refused, that are no JSON or no values, or that break the schema."""
    refused = observe_errors(view, BAD_ARGUMENTS)
    known = _refused(view) if view.leaf_errors else _NONE_REFUSED
    observations = list(refused.observations)
    contract = view.settings.contract
    with_schema = calls = 0
    for call in view.model_calls:
        if not call.requested:
            continue
        schemas = {bare_name(tool.name): tool for tool in call.offered} if call.offered else {}
        for requested in call.requested:
            calls += 1
            stated = schema_of(contract, requested.name) if contract.tools else None
            offered = schemas.get(bare_name(requested.name))
            tool = OfferedTool(requested.name, stated) if stated else offered
            with_schema += tool is not None and tool.parameters is not None
            broken = _broken(requested, tool)
            if broken and not known.holds(requested):
                observations.append(_bad_arguments(view, call, requested, broken))
    observations += _placeholders(view)
    eligible = refused.eligible | view.requested_populations
    return over_units(observations, eligible, checked=with_schema, of=calls)


def _placeholders(view: TraceView) -> Iterator[Observation]:
    """Calls that went through although an argument holds a placeholder, not a value."""
    arguments = together([call.arguments.value for call in view.tool_calls])
    for call in view.tool_calls if any(map(may_hold_placeholder, arguments)) else ():
        name, value = placeholder_in(call) if call.signal is None else ("", "")
        if not value:
            continue
        decision = view.decision_of(call.span)
        cited = [quote(call.span, "symptom", call.arguments, value)]
        yield Observation(
            key=FindingKey(BAD_ARGUMENTS, call.agent, call.tool, PLACEHOLDER, mask_name(name)),
            quotes=(*cited, *(decision_quote(span) for span in (decision,) if span)),
        )


def _broken(requested: RequestedCall, tool: OfferedTool | None) -> str:
    """What is wrong with the arguments, in words without values; ``""`` when nothing is."""
    text = requested.arguments.value
    if not text.strip():
        return ""
    schema = tool.parameters if tool else None
    arguments = parse_json(text)
    if arguments is None and text.strip() != "null":
        # Free text is what some tools take; only a broken object was meant to be JSON.
        return "the arguments are not JSON" if schema or text.lstrip()[0] == "{" else ""
    return violation(arguments, schema) if schema else ""


class _Refused(NamedTuple):
    """Calls that a tool refused: what they were asked for by."""

    call_ids: frozenset[str]
    tools: frozenset[str]
    nameless: frozenset[str]
    """Tools with a refused call that records no id."""

    def holds(self, requested: RequestedCall) -> bool:
        """Whether *requested* is one of them: by its id where both have one, else by its tool."""
        tool = mask_name(requested.name)
        if not requested.call_id:
            return tool in self.tools
        return requested.call_id in self.call_ids or tool in self.nameless


_NONE_REFUSED = _Refused(frozenset(), frozenset(), frozenset())


def _refused(view: TraceView) -> _Refused:
    calls = [
        view.call_of[error.span.span_id]
        for error in view.leaf_errors
        if error.span.span_id in view.call_of and rule_of(view, error) == BAD_ARGUMENTS
    ]
    return _Refused(
        call_ids=frozenset(call.call_id for call in calls) - {""},
        tools=frozenset(call.tool for call in calls),
        nameless=frozenset(call.tool for call in calls if not call.call_id),
    )


def _bad_arguments(
    view: TraceView, call: ModelCall, requested: RequestedCall, broken: str
) -> Observation:
    agent = view.agent_of(call.span)
    return Observation(
        key=FindingKey(BAD_ARGUMENTS, agent, mask_name(requested.name), "schema", broken),
        quotes=tuple(_cited(call, requested)),
        certainty="proved",
    )


def _cited(call: ModelCall, requested: RequestedCall) -> Iterator[Quote]:
    yield quote(call.span, "decision", requested.arguments)
