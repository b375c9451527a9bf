"""Calls made again although nothing changed."""

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.observation import (
    Observation,
    Quote,
    RuleOutput,
    StepRange,
    quote,
)
from halo_daemon.analyzer.populations import Population
from halo_daemon.analyzer.rules.error_kinds import error_kind
from halo_daemon.analyzer.rules.errors import decision_quote
from halo_daemon.analyzer.rules.loops import calls_in_cycle
from halo_daemon.analyzer.rules.tool_words import changes_state, repeats_are_normal
from halo_daemon.analyzer.subjects import Subject
from halo_daemon.analyzer.tool_call import ToolCall
from halo_daemon.analyzer.trace_view import TraceView

REPEATED_CALL = "repeated_call"
BLIND_RETRY = "blind_retry"

_EMPTY_ARGUMENTS = frozenset({"", "{}", "[]", "null", '""'})


def check_repeated_calls(view: TraceView) -> RuleOutput:
    """Equal calls with equal results and nothing in between that could have changed them."""
    eligible = frozenset(subject for subject, calls in view.used_tools.items() if calls > 1)
    changes = list(accumulate([changes_state(call.tool) for call in view.tool_calls]))
    repeats = [
        (subject, group)
        for subject in sorted(eligible)
        for group in _repeats(view, subject, changes)
        if len(group) >= view.settings.min_repeats - 1
    ]
    in_cycle = calls_in_cycle(view) if repeats else frozenset()
    observations = [
        _repeated(view, subject, group)
        for subject, group in repeats
        if not in_cycle.issuperset(call.span.span_id for call in group)
    ]
    populations = frozenset(Population("repeated", *subject) for subject in eligible)
    return RuleOutput(tuple(observations), populations, checked=len(eligible), of=len(eligible))


def _repeats(view: TraceView, subject: Subject, changes: Sequence[int]) -> Iterator[list[ToolCall]]:
    """
    Runs of equal calls of one tool with equal results, each longer than one.

    A run that the same call ends with another result was waiting for that, whatever the
    tool is called.
    """
    if repeats_are_normal(subject.name) or _is_polling(view, subject.name):
        return
    runs: dict[str, list[ToolCall]] = {}
    for call in view.calls_of(subject):
        if not _is_comparable(call):
            continue
        run = runs.setdefault(call.canonical, [])
        if run and not _is_again(run[-1], call, changes):
            # Untouched and not the same again: the result came that the run waited for.
            if len(run) > 1 and not _is_untouched(run[-1], call, changes):
                yield run
            run = runs[call.canonical] = []
        run.append(call)
    yield from (run for run in runs.values() if len(run) > 1)


def _is_polling(view: TraceView, tool: str) -> bool:
    stated = view.settings.contract.tools.get(tool)
    return stated is not None and stated.polling


def _is_again(before: ToolCall, call: ToolCall, changes: Sequence[int]) -> bool:
    """Whether nothing that changes state ran in between, and the result stayed the same."""
    return _is_untouched(before, call, changes) and call.has_result_of(before)


def _is_untouched(before: ToolCall, call: ToolCall, changes: Sequence[int]) -> bool:
    """Whether the agent changed nothing in between."""
    return changes[call.position - 1] == changes[before.position]


def _is_comparable(call: ToolCall) -> bool:
    return (
        call.signal is None
        and call.canonical not in _EMPTY_ARGUMENTS
        and bool(call.result.value)
        and not call.result.value.isspace()
    )


def _repeated(view: TraceView, subject: Subject, group: Sequence[ToolCall]) -> Observation:
    first, again = group[0], group[1]
    return Observation(
        key=FindingKey(REPEATED_CALL, subject.agent, subject.name, "", ""),
        recovered=_moved_on(view, group[-1]),
        quotes=tuple(_loop_quotes(view, first, group[-1])),
        wasted=StepRange(
            view.step_at(_decided_ns(view, again)), view.step_at(group[-1].span.start_unix_ns) + 1
        ),
        spans=len(group),
        is_weak=len(group) < view.settings.min_repeats,
    )


def _moved_on(view: TraceView, last: ToolCall) -> bool:
    """Whether the agent called something else afterwards."""
    later = view.tool_calls[last.position + 1 :]
    return any((call.tool, call.canonical) != (last.tool, last.canonical) for call in later)


def _decided_ns(view: TraceView, call: ToolCall) -> int:
    decision = view.decision_of(call.span)
    return decision.start_unix_ns if decision else call.span.start_unix_ns


def _loop_quotes(view: TraceView, first: ToolCall, last: ToolCall) -> Iterator[Quote]:
    yield quote(last.span, "symptom", last.arguments)
    decision = view.decision_of(last.span)
    if decision:
        yield decision_quote(decision)
    yield quote(first.span, "symptom", first.result)


def check_blind_retries(view: TraceView) -> RuleOutput:
    """The very same call right after it failed, where a retry neither helps by itself nor did."""
    eligible = {Subject(call.agent, call.tool) for call in view.tool_calls if call.signal}
    observations: dict[Subject, Observation] = {}
    for failed, again in pairwise(view.tool_calls):
        if failed.signal is None:
            continue
        subject = Subject(again.agent, again.tool)
        if (failed.agent, failed.tool) != subject:
            continue
        if _is_blind(view, failed, again):
            known = observations.get(subject)
            observations[subject] = _retried(view, failed, again, known.spans if known else 0)
    populations = frozenset(Population("failed", *subject) for subject in eligible)
    return RuleOutput(
        tuple(observations.values()), populations, checked=len(eligible), of=len(eligible)
    )


def _is_blind(view: TraceView, failed: ToolCall, again: ToolCall) -> bool:
    if failed.canonical != again.canonical or failed.signal is None or again.signal is None:
        # That the call went well shows that it was worth another try.
        return False
    template = view.template_of(failed.span)
    return (
        failed.canonical not in _EMPTY_ARGUMENTS
        and not repeats_are_normal(again.tool)
        and not error_kind(failed.signal.error_type, template).retry_helps
    )


def _retried(view: TraceView, failed: ToolCall, again: ToolCall, earlier: int) -> Observation:
    decision = view.decision_of(again.span)
    quotes = [quote(again.span, "symptom", again.arguments)]
    if decision:
        quotes.append(decision_quote(decision))
    quotes.append(quote(failed.span, "symptom", failed.result))
    return Observation(
        key=FindingKey(BLIND_RETRY, again.agent, again.tool, "", ""),
        quotes=tuple(quotes),
        wasted=StepRange(
            view.step_at(_decided_ns(view, again)), view.step_at(again.span.start_unix_ns) + 1
        ),
        spans=earlier + 1,
    )
