"""Results held against what the contract says a tool returns, and lists of tools counted."""

from halo_daemon.analyzer.content import parse_json
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.json_schema import violation
from halo_daemon.analyzer.observation import Observation, RuleOutput, over_units, quote
from halo_daemon.analyzer.rules.errors import decision_quote
from halo_daemon.analyzer.tool_call import ToolCall
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.json_value import JsonObject

CONTRACT_DRIFT = "contract_drift"
RESULT = "result"


def check_results(view: TraceView) -> RuleOutput:
    """
    Results that are not what the contract states.

    Counted are these results and the agents' lists of tools; how lists drift over a
    window is told when all traces are known (`contract_drift`).
    """
    offering: dict[str, bool] = {}
    for call in view.model_calls:
        offering[call.agent] = bool(call.offered) or offering.get(call.agent, False)
    lists = sum(offering.values())
    stated = view.settings.contract.tools
    observations = []
    results = 0
    for ran in view.tool_calls if stated else ():
        tool = stated.get(ran.tool)
        if tool is None or not tool.output_schema or ran.signal or not ran.result.attribute:
            continue
        results += 1
        broken = _broken(ran, dict(tool.output_schema))
        if broken:
            observations.append(_drifted(view, ran, broken))
    return over_units(
        observations,
        view.agent_populations | view.span_populations if observations else view.agent_populations,
        checked=lists + results,
        of=len(offering) + results,
    )


def _broken(call: ToolCall, schema: JsonObject) -> str:
    """What is wrong with a result, in words without values; ``""`` when nothing is."""
    result = parse_json(call.result.value)
    if result is None and call.result.value.strip() != "null":
        return "" if schema.get("type") in {None, "string"} else "the result is not JSON"
    return violation(result, schema, path="result")


def _drifted(view: TraceView, call: ToolCall, broken: str) -> Observation:
    quotes = [quote(call.span, "symptom", call.result)]
    decision = view.decision_of(call.span)
    if decision:
        quotes.append(decision_quote(decision))
    key = FindingKey(CONTRACT_DRIFT, call.agent, call.tool, RESULT, broken)
    return Observation(key, tuple(quotes), certainty="proved")
