"""
Ids that a model made up: asked for in a call, and in nothing that the model was given.

Looked at is what the model asked for, since frameworks add arguments of their own to
the spans of tools. Silence is the answer wherever the record may lack what the model saw:
a prompt or a result that is not recorded or was cut, pictures and files, a conversation
that the provider keeps.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from halo_daemon.analyzer.content import (
    ModelCall,
    RequestedCall,
    bare_name,
    records_result,
    text_of,
)
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.masking import mask_name
from halo_daemon.analyzer.observation import Observation, RuleOutput, quote
from halo_daemon.analyzer.rules.identifiers import Identifier, Sources, identifiers_in
from halo_daemon.analyzer.rules.tool_words import finishes
from halo_daemon.analyzer.tool_call import ToolCall
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.computed_once import computed_once
from halo_daemon.proto.span import Span

if TYPE_CHECKING:
    from halo_daemon.findings import NotCheckedReason

UNGROUNDED_ARGUMENT = "ungrounded_argument"
_LATER = re.compile(
    r"output|response|completion|result|choice|answer|tool_?calls?|events|all_messages|generation"
    r"|^messages$",
    re.IGNORECASE,
)
"""Keys of what came out of a span, by which an id would vouch for itself."""

_OTHER_CONTENT = re.compile(
    r"\"type\"\s*:\s*\"(?:image|image_url|input_image|blob|file|input_file|uri|audio|input_audio|video)\""
)
_KEPT_ELSEWHERE = re.compile(
    r"(?:previous_(?:response|interaction)_id|\"conversation)\"?\s*[:=]\s*(?!\"?(?:null|None)\b)\"?\w"
)
_CUT = ("...", "\u2026", "truncated]", "truncated)", "[truncated]")
_MIN_CUT_CHARS = 400
_MAX_CHARS = 4_000_000
_HIDDEN_TOKENS = 1_000
"""Tokens of a prompt beyond one for every recorded character: then there was more to read."""


def check_ungrounded_arguments(view: TraceView) -> RuleOutput:
    """Ids, references and addresses in a call that stand in nothing the model was given."""
    known: set[str] = set()
    observations: dict[FindingKey, Observation] = {}
    not_checked: dict[NotCheckedReason, int] = {}
    units = 0
    for call in view.model_calls:
        given: _Given | None = None
        for requested in call.requested:
            found = [] if finishes(requested.name) else _ids(requested)
            units += bool(found)
            unmet = [one for one in found if not (one.value in known or _is_in_prompt(call, one))]
            if unmet:
                given = given or _Given(view, call)
                unmet = [one for one in unmet if not given.holds(one.value)]
            reason = given.unknown if unmet and given else None
            if reason:
                not_checked[reason] = not_checked.get(reason, 0) + 1
            for one in () if reason else unmet:
                observed = _observation(view, call, requested, one)
                observations.setdefault(observed.key, observed)
            known.update(one.value for one in found)
    return RuleOutput(
        tuple(observations.values()),
        view.requested_populations,
        checked=units - sum(not_checked.values()),
        of=units,
        not_checked=not_checked,
    )


def _ids(requested: RequestedCall) -> list[Identifier]:
    return identifiers_in(requested.name, requested.arguments.value)


def _is_in_prompt(call: ModelCall, one: Identifier) -> bool:
    """What is newest stands last in a prompt, and is what most ids come from."""
    attributes = call.span.attributes
    return any(one.value in text_of(attributes[key]) for key in reversed(call.shape.inputs))


class _Given:
    """What a model had been given when it asked for calls, as far as the trace tells."""

    def __init__(self, view: TraceView, call: ModelCall) -> None:
        self._view = view
        self._call = call

    def holds(self, value: str) -> bool:
        """Whether *value* stands in it, in this or in another form, or follows from it."""
        return any(value in text for text in self._texts) or self._sources.hold(value)

    @computed_once
    def unknown(self) -> "NotCheckedReason | None":
        """Why it cannot be told that a value stands nowhere; None when it can."""
        if sum(map(len, self._texts)) > _MAX_CHARS:
            return "over_limit"
        return None if self._is_all_recorded() else "not_recorded"

    @computed_once
    def _texts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._read()))

    @computed_once
    def _sources(self) -> Sources:
        return Sources(self._texts)

    def _read(self) -> Iterator[str]:
        call = self._call.span
        yield from _texts_in(call, is_running=True)
        yield from map(text_of, call.resource_attributes.values())
        for span in self._view.trace.spans:
            if span.start_unix_ns < call.start_unix_ns:
                is_running = not 0 < span.end_unix_ns <= call.start_unix_ns
                yield from _texts_in(span, is_running=is_running)

    def _is_all_recorded(self) -> bool:
        call = self._call
        prompt = [text_of(call.span.attributes[key]) for key in call.shape.inputs]
        if not any(text.strip() for text in prompt) or self._misses_a_result():
            return False
        if any(text.rstrip().endswith(_CUT) for text in self._texts if len(text) > _MIN_CUT_CHARS):
            return False
        if any(_OTHER_CONTENT.search(text) for text in prompt) or _keeps_elsewhere(call.span):
            return False
        chars = sum(map(len, self._texts))
        return (call.span.input_tokens or 0) <= chars + _HIDDEN_TOKENS

    def _misses_a_result(self) -> bool:
        """Whether a call ran before whose result neither its span nor the prompt holds."""
        attributes, shape = self._call.span.attributes, self._call.shape
        if any(attributes.get(message.role) == "tool" for message in shape.messages):
            return False
        start = self._call.span.start_unix_ns
        return any(
            ran.signal is None and not records_result(ran.span)
            for ran in self._view.tool_calls
            if ran.span.start_unix_ns < start
        )


def _texts_in(span: Span, *, is_running: bool) -> Iterator[str]:
    """What *span* records; of one that still ran, not what came out of it."""
    for key, value in span.attributes.items():
        if not is_running or key.startswith("llm.input_messages.") or not _LATER.search(key):
            yield text_of(value)
    if not is_running:
        yield span.status_message
        yield from (text_of(event.get("attributes")) for event in span.events)


def _keeps_elsewhere(span: Span) -> bool:
    """Whether the model went on from what the provider keeps of an earlier call."""
    return any(
        _KEPT_ELSEWHERE.search(f"{key}={text_of(value)}")
        for key, value in span.attributes.items()
        if "previous_" in key or key.endswith("parameters")
    )


def _observation(
    view: TraceView, call: ModelCall, requested: RequestedCall, one: Identifier
) -> Observation:
    ran = _run_of(view, call, requested, one)
    quotes = [quote(call.span, "decision", requested.arguments, one.value)]
    if ran is not None:
        quotes.insert(0, quote(ran.span, "symptom", ran.arguments, one.value))
    return Observation(
        key=FindingKey(
            UNGROUNDED_ARGUMENT, call.agent, mask_name(requested.name), mask_name(one.key), ""
        ),
        quotes=tuple(quotes),
        # Nothing was done with a value that the tool refused.
        recovered=ran is not None and ran.signal is not None,
    )


def _run_of(
    view: TraceView, call: ModelCall, requested: RequestedCall, one: Identifier
) -> ToolCall | None:
    """The call as it ran; None where it is not recorded."""
    tool = bare_name(requested.name)
    return next(
        (
            ran
            for ran in view.tool_calls
            if ran.span.start_unix_ns >= call.span.start_unix_ns
            and one.value in ran.arguments.value
            and bare_name(ran.span.tool_name) == tool
        ),
        None,
    )
