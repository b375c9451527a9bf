"""
Ids that a model made up: asked for in a call, and in nothing that the model was given.

Looked at is what the model asked for, since frameworks add arguments of their own to
the spans of tools. Silence is the answer wherever the record may lack what the model saw:
a prompt or a result that is not recorded or was cut, pictures and files, a conversation
that the provider keeps.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache
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
_ROLES_OF_HISTORY = frozenset({"assistant", "tool"})
_MAX_CHARS = 4_000_000
_NEWEST = 16
"""Attributes at the end of a prompt, and results, that are looked at before everything is."""

_HIDDEN_TOKENS = 1_000
"""Tokens of a prompt beyond one for every recorded character: then there was more to read."""


def check_ungrounded_arguments(view: TraceView) -> RuleOutput:
    """Ids, references and addresses in a call that stand in nothing the model was given."""
    known: set[str] = set()
    observations: dict[FindingKey, Observation] = {}
    not_checked: dict[NotCheckedReason, int] = {}
    units = 0
    before = _Before(view)
    for call in view.model_calls:
        given: _Given | None = None
        for requested in call.requested:
            found = [] if finishes(requested.name) else _ids(requested)
            units += bool(found)
            unmet = [
                one for one in found if not (one.value in known or _is_in_sight(view, call, one))
            ]
            reason: NotCheckedReason | None = None
            if unmet:
                given = given or _Given(view, call, before)
                unmet, reason = given.without(unmet)
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


def _is_in_sight(view: TraceView, call: ModelCall, one: Identifier) -> bool:
    """Whether an id stands at the end of the prompt, in the task or in the last results, as most do."""
    attributes, value = call.span.attributes, one.value
    if any(value in text_of(attributes[key]) for key in reversed(call.shape.inputs[-_NEWEST:])):
        return True
    if value in view.task_input.value:
        return True
    moment = call.span.start_unix_ns
    at = bisect_left(view.tool_calls, moment, key=_start)
    return any(
        value in ran.result.value and ran.span.end_unix_ns <= moment
        for ran in view.tool_calls[max(0, at - _NEWEST) : at]
    )


def _start(ran: ToolCall) -> int:
    return ran.span.start_unix_ns


class _Before:
    """
    What the spans before a model call record, taken in once as the calls of a trace come.

    Prompts repeat what was said before: only what is new in them is looked at.
    """

    def __init__(self, view: TraceView) -> None:
        self._spans = view.trace.spans
        self._begun = 0
        self._running: list[Span] = []
        self._texts: set[str] = set()
        self.chars = 0
        """Of all different texts."""
        self.is_cut = False
        """Whether one of them ends where a recorder cut it."""
        self.sources = Sources(())

    def go_on(self, unix_ns: int) -> None:
        """Take in what was recorded before that time, which is not before that of the last call."""
        texts: list[str] = []
        while self._begun < len(self._spans):
            span = self._spans[self._begun]
            if span.start_unix_ns >= unix_ns:
                break
            self._begun += 1
            if 0 < span.end_unix_ns <= unix_ns:
                texts += _texts_in(span, is_running=False)
            else:
                self._running.append(span)
                texts += _texts_in(span, is_running=True)
        running = []
        for span in self._running:
            if 0 < span.end_unix_ns <= unix_ns:
                texts += _texts_in(span, is_running=False)
            else:
                running.append(span)
        self._running = running
        new = self.new_among(texts)
        self._texts.update(new)
        self.chars += sum(map(len, new))
        self.is_cut = self.is_cut or _is_cut(new)
        self.sources = self.sources.with_more(new)

    def new_among(self, texts: Sequence[str]) -> list[str]:
        """Those of *texts* that were not taken in, each once."""
        return [text for text in dict.fromkeys(texts) if text and text not in self._texts]


class _Given:
    """What a model had been given when it asked for calls, as far as the trace tells."""

    def __init__(self, view: TraceView, call: ModelCall, before: _Before) -> None:
        self._view = view
        self._call = call
        self._before = before
        attributes = call.span.attributes
        self._prompt = [text_of(attributes[key]) for key in call.shape.inputs]

    def without(self, ids: list[Identifier]) -> "tuple[list[Identifier], NotCheckedReason | None]":
        """Those of *ids* that stand nowhere, and why that cannot be told; None when it can."""
        if not any(text.strip() for text in self._prompt):
            return ids, "not_recorded"
        sources = self._sources
        unmet = [one for one in ids if not sources.hold(one.value)]
        return unmet, self._unknown if unmet else None

    @computed_once
    def _unknown(self) -> "NotCheckedReason | None":
        if self._before.chars + sum(map(len, self._own)) > _MAX_CHARS:
            return "over_limit"
        return None if self._is_all_recorded() else "not_recorded"

    @computed_once
    def _own(self) -> list[str]:
        """What its own span adds to what stands in those before."""
        span = self._call.span
        self._before.go_on(span.start_unix_ns)
        texts = [
            *_texts_in(span, is_running=True),
            *map(text_of, span.resource_attributes.values()),
        ]
        return self._before.new_among(texts)

    @computed_once
    def _sources(self) -> Sources:
        own = self._own
        return self._before.sources.with_more(own)

    def _is_all_recorded(self) -> bool:
        call, before = self._call, self._before
        if (
            self._misses_a_result()
            or self._misses_earlier_turns()
            or before.is_cut
            or _is_cut(self._own)
        ):
            return False
        if any(map(_OTHER_CONTENT.search, self._prompt)) or _keeps_elsewhere(call.span):
            return False
        chars = before.chars + sum(map(len, self._own))
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

    def _misses_earlier_turns(self) -> bool:
        """
        Whether the run is part of a session, and its prompts hold only what is new.

        What was said in the runs before is in none of them then.
        """
        if not any(span.session_id for span in self._view.trace.spans):
            return False
        prompts = [
            {call.span.text(message.role) for message in call.shape.messages}
            for call in self._view.model_calls
            if call.agent == self._call.agent and call.shape.messages
        ]
        return len(prompts) > 1 and all(map(_ROLES_OF_HISTORY.isdisjoint, prompts))


def _is_cut(texts: Iterable[str]) -> bool:
    return any(text.rstrip().endswith(_CUT) for text in texts if len(text) > _MIN_CUT_CHARS)


def _texts_in(span: Span, *, is_running: bool) -> list[str]:
    """What *span* records; of one that still ran, not what came out of it."""
    attributes = span.attributes
    if is_running:
        values = [value for key, value in attributes.items() if not _comes_out(key)]
    else:
        values = [*attributes.values(), span.status_message]
        values += [event.get("attributes") for event in span.events]
    # Nearly all are texts already, and prompts have very many.
    return [value if isinstance(value, str) else text_of(value) for value in values if value]


@lru_cache(maxsize=4096)
def _comes_out(key: str) -> bool:
    """Whether an attribute holds what came out of its span."""
    return not key.startswith("llm.input_messages.") and _LATER.search(key) is not None


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
