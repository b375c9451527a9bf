"""Results with nothing in them, and agents that go on as if there were."""

from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.observation import Observation, RuleOutput, over_units, quote
from halo_daemon.analyzer.populations import Population
from halo_daemon.analyzer.rules.errors import decision_quote
from halo_daemon.analyzer.rules.tool_words import changes_state, repeats_are_normal
from halo_daemon.analyzer.subjects import Subject
from halo_daemon.analyzer.tool_call import ToolCall
from halo_daemon.analyzer.trace_view import TraceView

EMPTY_RESULT = "empty_result"
_EMPTY = frozenset({"", "null", "[]", "{}", '""', "none", "no results", "no results found"})
_MAX_EMPTY_CHARS = 32
_EMPTY_LISTS = ('{"results": []}', '{"items": []}', '{"data": []}', '{"documents": []}')


def check_empty_results(view: TraceView) -> RuleOutput:
    """
    Look-ups that find nothing, after which the agent does not ask differently.

    By itself this says little: there may be nothing to find. It is a weak signal
    while the run goes on, and weighs more than low only where it goes with failure or
    the tool used to find something (`empty_history`).
    """
    lookups = [call for call in view.tool_calls if is_lookup(call.tool)]
    observations: dict[FindingKey, Observation] = {}
    empty = [call for call in lookups if _tells_nothing(call)]
    varied = _followed_by_another(view) if empty else frozenset()
    for call in empty:
        if call.span.span_id in varied:
            continue
        key = FindingKey(EMPTY_RESULT, call.agent, call.tool, "", "")
        quotes = [quote(call.span, "symptom", call.arguments)]
        decision = view.decision_of(call.span)
        if decision:
            quotes.append(decision_quote(decision))
        goes_on = view.is_part or view.is_fragment
        gave_up = call.position + 1 == len(view.tool_calls) and not goes_on
        observations.setdefault(
            key, Observation(key, tuple(quotes), recovered=True, is_weak=not gave_up)
        )
    recorded = len([call for call in lookups if call.result.attribute])
    asked = {(call.agent, call.tool) for call in lookups}
    eligible = frozenset(Population("span", agent, tool) for agent, tool in asked)
    return over_units(observations.values(), eligible, checked=recorded, of=len(lookups))


def is_lookup(tool: str) -> bool:
    """Whether the name says neither that the tool changes something nor that it waits."""
    return not (changes_state(tool) or repeats_are_normal(tool))


def is_empty(result: str) -> bool:
    """Whether a result says that there is nothing."""
    stripped = result.strip()
    text = stripped.rstrip(".")
    return len(text) < _MAX_EMPTY_CHARS and (text.lower() in _EMPTY or stripped in _EMPTY_LISTS)


def _tells_nothing(call: ToolCall) -> bool:
    """Whether a result was recorded and is empty."""
    is_recorded = bool(call.result.attribute) or "output.value" in call.span.attributes
    return call.signal is None and is_recorded and is_empty(call.result.value)


def _followed_by_another(view: TraceView) -> frozenset[str]:
    """Calls after which the same tool is called with other arguments, by span id."""
    later: dict[Subject, set[str]] = {}
    found = []
    for call in reversed(view.tool_calls):
        asked = later.setdefault(Subject(call.agent, call.tool), set())
        if asked - {call.canonical}:
            found.append(call.span.span_id)
        if len(asked) < 2:  # noqa: PLR2004 -- two different ones differ from any third
            asked.add(call.canonical)
    return frozenset(found)
