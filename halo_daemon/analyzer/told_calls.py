"""
Tool calls that no span stands for, read from the messages of model calls.

Where only the client of the model is instrumented, a call is an answer of the model, and
what came of it is a message in a later prompt.

Rule 1: prompts repeat all that was said before, so a result is read where it is new:
behind the last words of the model, or among the messages that the prompt before did not
have where a model call of the trace asked for it. It counts once.

Rule 2: a call that a span stands for is none of these, even where the span leaves out what
came of it (`told_results`).

Rule 3: messages have no times. A call is placed right before the prompt that brings its
result, with no length; nobody may ask how long it took.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from halo_daemon.analyzer.content import (
    NO_TEXT,
    ModelCall,
    RequestedCall,
    bare_name,
    call_id_of_span,
    text_of,
)
from halo_daemon.analyzer.observation import Quote
from halo_daemon.analyzer.prompt_messages import (
    answered_call,
    is_result,
    keys_of,
    result_of,
)
from halo_daemon.proto.computed_once import computed_once
from halo_daemon.proto.json_value import JsonObject
from halo_daemon.proto.span import LLM, STATUS_ERROR, TOOL, Span
from halo_daemon.proto.trace import Trace

ARGUMENTS = "input.value"
RESULT = "output.value"


class Source(NamedTuple):
    """Where a text of a call was recorded."""

    span: Span
    attribute: str
    length: int
    """Characters of the text that stand there; what follows stands elsewhere."""

    def cited(self, words: Quote) -> Quote | None:
        """*words* of the text by where they stand; None where some stand elsewhere."""
        if words.end > self.length:
            return None
        return words._replace(span_id=self.span.span_id, attribute=self.attribute)


class ToldCall(NamedTuple):
    """A call that only messages tell of."""

    span: Span
    """Stands for the call as a TOOL span would; nobody recorded it."""
    agent: str
    """Masked."""
    holder: Span
    """The model call whose prompt brings the result."""
    asked_by: Span | None
    """The model call that asked for it; None where none of the trace says so."""
    is_from_before: bool
    """Whether it was asked for before the trace: its first prompt brings the result."""
    sources: Mapping[str, Source]
    """Of its arguments and its result, by the attribute of `span` that repeats them."""


class _Asked(NamedTuple):
    """What was asked for, and by which model call; None where only the prompt repeats it."""

    call: RequestedCall
    by: Span | None


class _Counted(NamedTuple):
    """What calls are counted by: the id, else the tool."""

    tool: str
    call_id: str


def told_calls(trace: Trace, calls: Sequence[ModelCall]) -> tuple[ToldCall, ...]:
    """
    The tool calls of *trace* that no span stands for, in the order of their results.

    Args:
        trace: The recorded spans.
        calls: Its model calls, by start.

    Returns:
        Empty where spans stand for all of them, as they do where tools are instrumented.
    """
    spans = [span for span in trace.spans if span.observation_kind == TOOL]
    if spans and _are_all_recorded(spans, calls):
        return ()
    return tuple(_Reading(trace, spans, calls).told())


def as_recorded(cited: Quote, told: Mapping[str, ToldCall]) -> Quote:
    """*cited* by the span and the attribute that hold its words, without words where none does."""
    call = told.get(cited.span_id)
    if call is None:
        return cited
    source = call.sources.get(cited.attribute)
    found = source.cited(cited) if source else None
    return found or Quote(call.holder.span_id, cited.role, "", 0, 0, "")


def _are_all_recorded(spans: Sequence[Span], calls: Sequence[ModelCall]) -> bool:
    """A cheap yes: each tool was run as often as it was asked for."""
    asked = [bare_name(one.name) for call in calls for one in call.requested]
    ran = [bare_name(span.tool_name) for span in spans]
    # Mostly they are the same in the same order: what is left over need not be counted.
    return not asked or asked == ran or not Counter(asked) - Counter(ran)


class _Reading:
    """One trace, model call by model call."""

    def __init__(self, trace: Trace, spans: Sequence[Span], calls: Sequence[ModelCall]) -> None:
        self._trace = trace
        self._spans = spans
        self._calls = calls
        self._asked: dict[_Counted, _Asked] = {}
        self._asked_times: Counter[_Counted] = Counter()
        self._read_times: Counter[_Counted] = Counter()
        self._read_texts: set[tuple[str, int, int]] = set()
        self._seen: dict[str, int] = {}

    @computed_once
    def _recorded(self) -> "_Recorded":
        return _Recorded(self._trace, self._spans, self._calls)

    def told(self) -> Iterator[ToldCall]:
        """Every call, once."""
        for call in self._calls:
            new = [
                (place, asked)
                for place in self._new_places(call)
                if (asked := self._taken(call, place)) is not None
            ]
            for number, (place, asked) in enumerate(new):
                told = _told(call, place, asked, before=len(new) - number)
                is_first = call.agent not in self._seen
                yield told._replace(is_from_before=asked.by is None and is_first)
            self._seen[call.agent] = call.shape.places[-1] + 1 if call.shape.places else 0
            for requested in call.requested:
                self._ask(call, requested)

    def _ask(self, call: ModelCall, requested: RequestedCall) -> None:
        """Remember a call; one that a span within another one's time repeats is the same."""
        for counted in {_counted(requested), _Counted(requested.name, "")}:
            known = self._asked.get(counted)
            by = known.by if known else None
            if by and by is not call.span and call.span.start_unix_ns < by.end_unix_ns:
                continue
            self._asked[counted] = _Asked(requested, call.span)
            self._asked_times[counted] += 1

    def _new_places(self, call: ModelCall) -> list[int]:
        """Places of the tools' messages that are new in this prompt, in order."""
        attributes, places = call.span.attributes, call.shape.places
        at = len(places) - 1
        while at >= 0 and attributes.get(keys_of(places[at]).role) == "assistant":
            # A beginning of the answer that the application wrote for the model.
            at -= 1
        found = []
        while at >= 0 and attributes.get(keys_of(places[at]).role) != "assistant":
            if is_result(attributes, keys_of(places[at])):
                found.append(places[at])
            at -= 1
        since = self._seen.get(call.agent)
        while since is not None and at >= 0 and places[at] >= since:
            keys = keys_of(places[at])
            call_id = text_of(attributes.get(keys.call_id))
            if call_id and _Counted("", call_id) in self._asked and is_result(attributes, keys):
                found.append(places[at])
            at -= 1
        return found[::-1]

    def _taken(self, call: ModelCall, place: int) -> _Asked | None:
        """The call that the message answers; None where it was read, recorded or is not known."""
        attributes, keys = call.span.attributes, keys_of(place)
        call_id = text_of(attributes.get(keys.call_id))
        asked = self._asked.get(_Counted("", call_id)) if call_id else None
        if asked is None or not asked.call.name:
            asked = self._repeated(call, place, call_id)
        if asked is None or self._recorded.holds(asked, call_id, call.span):
            return None
        counted = _counted(asked.call._replace(call_id=call_id))
        times = self._asked_times[counted]
        text = result_of(attributes, keys)[0] or ""
        # The same words at another place are another result, unless its calls are counted.
        read = call.agent, -1 if times else place, hash(text)
        is_read = self._read_times[counted] > 0 if call_id else read in self._read_texts
        if is_read and self._read_times[counted] >= times:
            return None
        self._read_times[counted] += 1
        self._read_texts.add(read)
        return asked

    def _repeated(self, call: ModelCall, place: int, call_id: str) -> _Asked | None:
        """The call as the prompt itself repeats it, else by the name that its result bears."""
        attributes = call.span.attributes
        name = text_of(attributes.get(keys_of(place).name))
        found = answered_call(attributes, place, call_id, name)
        if found is None and name:
            found = RequestedCall(call_id, name, NO_TEXT)
        if found is None or not found.name:
            return None
        # Without an id, the last one who asked for that tool asked for this.
        asked = None if call_id else self._asked.get(_Counted(found.name, ""))
        return _Asked(found, asked.by if asked else None)


def _counted(requested: RequestedCall) -> _Counted:
    return _Counted("", requested.call_id) if requested.call_id else _Counted(requested.name, "")


class _Recorded:
    """The calls that spans stand for."""

    def __init__(self, trace: Trace, spans: Sequence[Span], calls: Sequence[ModelCall]) -> None:
        requested = [one for call in calls for one in call.requested]
        asked = {one.call_id for one in requested} - {""}
        ids: dict[str, set[str]] = {}
        for span in spans:
            ids.setdefault(_letters_of(span.tool_name), set()).add(call_id_of_span(span))
        self._ids = frozenset().union(*ids.values()) - {""}
        self._tools = frozenset(ids)
        self._told_by_id = frozenset(
            tool for tool, known in ids.items() if "" not in known and not known.isdisjoint(asked)
        )
        """Tools whose spans name the calls that messages name: another id is another call."""
        self._others = frozenset(
            _letters_of(part)
            for span in trace.spans
            if span.observation_kind not in {LLM, TOOL}
            for part in (span.name, span.name.rpartition(" ")[2])
        )
        """Spans of another kind that bear the name of a tool stand for it as well."""
        names = {_letters_of(one.name) for one in requested}
        within = {span.span_id for span in spans}
        self._unnamed = sorted(
            span.start_unix_ns
            for span in spans
            if _letters_of(span.tool_name) not in names and span.parent_span_id not in within
        )
        """Starts of tools that nobody asked for by that name: who records may name otherwise."""

    def holds(self, asked: _Asked, call_id: str, holder: Span) -> bool:
        """Whether a span stands for the call whose result *holder* brings, or may do so."""
        name = _letters_of(asked.call.name)
        if call_id in self._ids or name in self._others:
            return True
        if name in self._tools:
            return not (call_id and name in self._told_by_id)
        if asked.by is None or not self._unnamed:
            return False
        at = bisect_left(self._unnamed, asked.by.start_unix_ns)
        return at < len(self._unnamed) and self._unnamed[at] <= holder.start_unix_ns


@lru_cache(maxsize=4_096)
def _letters_of(tool: str) -> str:
    """A tool's name without what frameworks put before and between its words."""
    return "".join(filter(str.isalnum, bare_name(tool)))


def _told(call: ModelCall, place: int, asked: _Asked, *, before: int) -> ToldCall:
    """
    Stand for one call.

    Args:
        call: The model call with its result in the prompt.
        place: Of the message.
        asked: The call itself.
        before: How many nanoseconds before the prompt it stands, for the order alone.
    """
    holder, keys = call.span, keys_of(place)
    result, first = result_of(holder.attributes, keys)
    arguments = asked.call.arguments
    attributes: JsonObject = {"inference.observation_kind": TOOL, "tool.name": asked.call.name}
    sources: dict[str, Source] = {"name": Source(holder, keys.name, len(asked.call.name))}
    if holder.attributes.get(keys.name) != asked.call.name:
        del sources["name"]
    if arguments.value:
        attributes[ARGUMENTS] = arguments.value
        by = asked.by if asked.by and arguments.attribute in asked.by.attributes else holder
        sources[ARGUMENTS] = Source(by, arguments.attribute, len(arguments.value))
    if result is not None:
        attributes[RESULT] = result
        sources[RESULT] = Source(holder, first.attribute, len(first.value))
    call_id = text_of(holder.attributes.get(keys.call_id))
    if call_id:
        attributes["tool.id"] = call_id
    moment_unix_ns = holder.start_unix_ns - before
    span = Span(
        holder.trace_id,
        f"{holder.span_id}/{place:05}",
        holder.parent_span_id,
        asked.call.name,
        "SPAN_KIND_INTERNAL",
        moment_unix_ns,
        moment_unix_ns,
        STATUS_ERROR if holder.attributes.get(keys.is_error) is True else "STATUS_CODE_UNSET",
        "",
        holder.resource_attributes,
        holder.scope_name,
        holder.scope_version,
        attributes,
    )
    return ToldCall(
        span,
        call.agent,
        holder,
        asked_by=asked.by,
        is_from_before=False,
        sources=MappingProxyType(sources),
    )
