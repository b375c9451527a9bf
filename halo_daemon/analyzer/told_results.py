"""
What tool spans leave out and prompts tell: the result of a call, and its arguments.

Some instrumentations give a call a span with its name, its id and its time, and what it
brought stands in the next prompt alone.

Rule 1: what a span records itself is never read from a prompt.

Rule 2: only the id of the call tells that a message is its result; a name is not enough.

Rule 3: a result is read behind the last words of the model, where it is new. That needs no
look at the whole history that each prompt repeats.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from halo_daemon.analyzer.content import (
    call_id_of_span,
    records_result,
    text_of,
    tool_arguments,
)
from halo_daemon.analyzer.prompt_messages import (
    answered_call,
    is_result,
    keys_of,
    result_of,
)
from halo_daemon.analyzer.span_shape import shape_of
from halo_daemon.analyzer.told_calls import ARGUMENTS, RESULT, Source
from halo_daemon.proto.json_value import JsonObject
from halo_daemon.proto.span import LLM, STATUS_ERROR, TOOL, Span
from halo_daemon.proto.trace import Trace


class ToldResult(NamedTuple):
    """A tool span, and what a prompt says of its call."""

    span: Span
    """The recorded span with what the prompt adds."""
    sources: Mapping[str, Source]
    """Where that stands, by the attribute of `span` that repeats it."""


def told_results(trace: Trace) -> dict[str, ToldResult]:
    """The tool spans of *trace* whose result only a prompt tells, by span id; mostly none."""
    bare = [
        span
        for span in trace.spans
        if span.observation_kind == TOOL
        and RESULT not in span.attributes
        and span.status_code != STATUS_ERROR
        and not records_result(span)
    ]
    # Spans that share an id are layers of one call, of which the outermost began first.
    waiting = {call_id: span for span in reversed(bare) if (call_id := call_id_of_span(span))}
    if not waiting:
        return {}
    for span in trace.spans:
        if span.observation_kind == TOOL and records_result(span):
            waiting.pop(call_id_of_span(span), None)
    found = {}
    for holder in trace.spans:
        if not waiting:
            break
        if holder.observation_kind == LLM:
            for call_id, place in _new_results(holder):
                call = waiting.get(call_id)
                if call is not None and call.start_unix_ns <= holder.start_unix_ns:
                    del waiting[call_id]
                    found[call.span_id] = _completed(call, holder, place)
    return found


def with_results(trace: Trace, told: Mapping[str, ToldResult]) -> Trace:
    """*trace* with the spans that are told of in place of those that were recorded."""
    if not told:
        return trace
    spans = [told[span.span_id].span if span.span_id in told else span for span in trace.spans]
    return replace(trace, spans=tuple(spans))


def _new_results(holder: Span) -> Iterator[tuple[str, int]]:
    """Ids of the calls whose results come behind the model's last words, and their places."""
    attributes = holder.attributes
    places = list(shape_of(holder).places)
    while places and attributes.get(keys_of(places[-1]).role) == "assistant":
        # A beginning of the answer that the application wrote for the model.
        places.pop()
    for place in reversed(places):
        keys = keys_of(place)
        if attributes.get(keys.role) == "assistant":
            return
        if is_result(attributes, keys):
            yield text_of(attributes.get(keys.call_id)), place


def _completed(span: Span, holder: Span, place: int) -> ToldResult:
    attributes: JsonObject = dict(span.attributes)
    sources: dict[str, Source] = {}
    keys = keys_of(place)
    result, first = result_of(holder.attributes, keys)
    if result is not None:
        attributes[RESULT] = result
        sources[RESULT] = Source(holder, first.attribute, len(first.value))
    if not tool_arguments(span).value:
        call_id = text_of(holder.attributes.get(keys.call_id))
        asked = answered_call(holder.attributes, place, call_id, span.tool_name)
        if asked is not None and asked.arguments.value:
            attributes[ARGUMENTS] = asked.arguments.value
            length = len(asked.arguments.value)
            sources[ARGUMENTS] = Source(holder, asked.arguments.attribute, length)
    is_error = holder.attributes.get(keys.is_error) is True
    status = STATUS_ERROR if is_error else span.status_code
    return ToldResult(replace(span, attributes=attributes, status_code=status), sources)
