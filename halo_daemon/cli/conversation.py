"""What was said in a trace, in order of time: prompts, answers, calls and results."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from halo_daemon.analyzer.content import tool_arguments, tool_result
from halo_daemon.analyzer.masking import core_message
from halo_daemon.analyzer.signals import error_signal
from halo_daemon.proto.span import LLM, TOOL, Span
from halo_daemon.proto.trace import Trace

_CHAIN = "CHAIN"
_FIELD = re.compile(r"llm\.(?P<side>input|output)_messages\.(?P<place>\d+)\.message\.(?P<of>.+)")
_TEXT = re.compile(r"content|contents\.\d+\.message_content\.text")
_CALL = re.compile(r"tool_calls\.(?P<place>\d+)\.tool_call\.function\.(?P<part>name|arguments)")


class Said(NamedTuple):
    """Something that a span took in or gave out."""

    span: Span
    label: str
    """Whose words: a role, ``in`` or ``out``; ``error`` of what failed and gave out nothing."""
    text: str


class _Moment(NamedTuple):
    """When it was said; what ends at the same time ends from the inside."""

    time_unix_ns: int
    is_output: bool
    place: int


def conversation_of(trace: Trace) -> Iterator[Said]:
    """
    Tell the conversation of *trace*; nothing where no span holds a text.

    A text that comes again is told once: model calls repeat all that was said before, and
    the spans around them repeat the question and the answer.
    """
    moments = [
        (moment, span)
        for place, span in enumerate(trace.spans)
        if not _is_wiring(trace, span)
        for moment in _moments(span, place)
    ]
    told: Counter[str] = Counter()
    for moment, span in sorted(moments, key=lambda item: item[0]):
        here: Counter[str] = Counter()
        for label, text in _said(span, is_output=moment.is_output):
            here[text] += 1
            if here[text] > told[text]:
                told[text] = here[text]
                yield Said(span, label, text)


def _moments(span: Span, place: int) -> Iterator[_Moment]:
    yield _Moment(span.start_unix_ns, is_output=False, place=place)
    yield _Moment(max(span.start_unix_ns, span.end_unix_ns), is_output=True, place=-place)


def _is_wiring(trace: Trace, span: Span) -> bool:
    """Whether a span only hands on what others said: a step of a framework within a run."""
    return span.observation_kind == _CHAIN and span.parent_span_id in trace.by_id


def _said(span: Span, *, is_output: bool) -> Iterator[tuple[str, str]]:
    if span.observation_kind == LLM:
        messages = list(_messages(span, "output" if is_output else "input"))
        if messages:
            yield from messages
            return
    if span.observation_kind == TOOL:
        text = (tool_result if is_output else tool_arguments)(span).value
    else:
        text = span.text("output.value" if is_output else "input.value")
    if text:
        yield ("out" if is_output else "in"), text
    elif is_output and (signal := error_signal(span)) is not None:
        yield "error", core_message(signal.message)


def _messages(span: Span, side: str) -> Iterator[tuple[str, str]]:
    """Role and text of each message, in order; a call that is asked for is a text too."""
    roles: dict[int, str] = {}
    texts: dict[int, list[str]] = {}
    calls: dict[tuple[int, int], dict[str, str]] = {}
    for key, value in span.attributes.items():
        field = _FIELD.fullmatch(key)
        if field is None or field["side"] != side or not isinstance(value, str) or not value:
            continue
        place = int(field["place"])
        if field["of"] == "role":
            roles[place] = value
        elif _TEXT.fullmatch(field["of"]):
            # Some tell a text both as the content and as its only part.
            if value not in texts.setdefault(place, []):
                texts[place].append(value)
        elif call := _CALL.fullmatch(field["of"]):
            calls.setdefault((place, int(call["place"])), {})[call["part"]] = value
    for (place, _), call_parts in sorted(calls.items()):
        asked = f"{call_parts.get('name', '?')}({call_parts.get('arguments', '')})"
        texts.setdefault(place, []).append(asked)
    for place in sorted(texts):
        for text in texts[place]:
            yield roles.get(place, side), text
