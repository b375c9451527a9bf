"""Text from outside that gives orders to the model, wherever a span carries it."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from halo_daemon.analyzer.content import Text, text_of, tool_result
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.masking import mask_name
from halo_daemon.analyzer.observation import Observation, RuleOutput, quote
from halo_daemon.analyzer.orders import find_order, find_order_in_name, may_hold_order
from halo_daemon.analyzer.populations import population_of
from halo_daemon.analyzer.rules.errors import decision_quote
from halo_daemon.analyzer.rules.obeyed import obeyed
from halo_daemon.analyzer.span_shape import SpanShape
from halo_daemon.analyzer.together import together
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.json_value import JsonObject
from halo_daemon.proto.span import TOOL, Span

INJECTION_TEXT = "injection_text"
_SEARCHES = frozenset({"RETRIEVER", "RERANKER"})
_BRINGING_KINDS = _SEARCHES | {TOOL}
_OWN_EVENTS = "gen_ai."
"""Events that repeat what the application itself tells the model."""

_TOOL_EVENT = "gen_ai.tool.message"


class _Found(NamedTuple):
    carrier: str
    """``""`` for a result."""
    text: Text
    words: str


def check_injection(view: TraceView) -> RuleOutput:
    """
    Text that came from outside and speaks to the model as if it were its master.

    Read are results, retrieved documents, tool messages (where no span stands for the
    tool), status messages, events, and the names of spans and attributes. What the user
    and the system prompt say is theirs to say.
    """
    observations = [
        _observation(view, span, found)
        for span, shape in _suspects(view)
        for found in _search(span, shape)
    ]
    if not view.tool_calls:
        observations += _in_tool_messages(view)
    eligible = view.span_populations | view.agent_populations
    eligible |= {population_of(hit.key) for hit in observations}
    spans = len(view.trace.spans)
    return RuleOutput(tuple(observations), eligible, checked=spans, of=spans)


def _suspects(view: TraceView) -> Sequence[tuple[Span, SpanShape]]:
    """The spans to search, in order; of those without odd names, events and keys mostly none."""
    odd = {
        name
        for name in {span.name for span, _ in view.shaped_spans}
        if find_order_in_name(name) is not None
    }
    suspects = []
    texts = [call.result.value for call in view.tool_calls]
    for one in view.shaped_spans:
        span, shape = one
        if span.events or shape.odd or span.name in odd:
            suspects.append(one)
        elif span.status_message or shape.documents or span.observation_kind in _SEARCHES:
            texts += [text.value for _, text in _texts(span, shape)]
    return view.shaped_spans if any(map(may_hold_order, together(texts))) else suspects


def _observation(view: TraceView, span: Span, found: _Found) -> Observation:
    """What the text led to, where it led to something; else that it is there."""
    led_to = obeyed(view, span, text=found.text, words=found.words, rule=INJECTION_TEXT)
    if led_to is not None:
        return led_to
    subject = mask_name(span.tool_name or span.name)
    if find_order_in_name(subject) is not None:
        subject = ""
    key = FindingKey(INJECTION_TEXT, view.agent_of(span), subject, found.carrier, "")
    quotes = [quote(span, "symptom", found.text, found.words)]
    following = view.following_call(span)
    if following:
        quotes.append(decision_quote(following))
    return Observation(key, tuple(quotes), recovered=True)


def _search(span: Span, shape: SpanShape) -> Iterator[_Found]:
    """What was found in *span*; the same words in a second carrier are no second finding."""
    if not _brings(span, shape) and find_order_in_name(span.name) is None:
        return
    told: set[str] = set()
    for found in (*_in_texts(span, shape), *_in_names(span, shape)):
        if found.words not in told:
            told.add(found.words)
            yield found


def _in_texts(span: Span, shape: SpanShape) -> Iterator[_Found]:
    for carrier, text in _texts(span, shape):
        words = find_order(text.value) if text.value else None
        if words is not None:
            yield _Found(carrier, text, words)


def _brings(span: Span, shape: SpanShape) -> bool:
    """Whether anything but its name may hold text from outside; few spans do."""
    return bool(
        span.observation_kind in _BRINGING_KINDS
        or span.events
        or span.status_message
        or shape.documents
        or shape.odd
    )


def _texts(span: Span, shape: SpanShape) -> Iterator[tuple[str, Text]]:
    if span.observation_kind in _BRINGING_KINDS:
        yield "", tool_result(span)
    for key in shape.documents:
        value = span.attributes[key]
        if isinstance(value, str):
            yield "document", Text(key, value)
    if span.status_message:
        yield "status message", Text("status.message", span.status_message)
    for place, event in enumerate(span.events):
        name = text_of(event.get("name"))
        if not name.startswith(_OWN_EVENTS) or name == _TOOL_EVENT:
            for key, value in _attributes_of(event).items():
                if isinstance(value, str | list | dict):
                    yield "event", Text(f"events[{place}].{key}", text_of(value))


def _attributes_of(event: JsonObject) -> JsonObject:
    attributes = event.get("attributes")
    return attributes if isinstance(attributes, dict) else {}


def _in_names(span: Span, shape: SpanShape) -> Iterator[_Found]:
    if (words := find_order_in_name(span.name)) is not None:
        yield _Found("span name", Text("name", span.name), words)
    for key in shape.odd:
        yield _in_key(key, Text(key, text_of(span.attributes[key])))
    for place, event in enumerate(span.events):
        name = text_of(event.get("name"))
        if (words := find_order_in_name(name)) is not None:
            yield _Found("event", Text(f"events[{place}].name", name), words)
        attributes = _attributes_of(event)
        for key in _odd_keys(tuple(attributes)):
            yield _in_key(key, Text(f"events[{place}].{key}", text_of(attributes[key])))


def _in_key(key: str, text: Text) -> _Found:
    """What stands in a *key* that is odd, with the *text* that it names."""
    return _Found("attribute key", text, find_order_in_name(key) or "")


def _in_tool_messages(view: TraceView) -> Iterator[Observation]:
    """Conversations repeat themselves: each text is read where it stands first."""
    read: set[int] = set()
    for call in view.model_calls:
        attributes = call.span.attributes
        for role, content in call.shape.messages:
            if attributes[role] != "tool":
                continue
            text = Text(content, text_of(attributes.get(content)))
            if hash(text.value) in read:
                continue
            read.add(hash(text.value))
            words = find_order(text.value)
            if words is not None:
                yield _observation(view, call.span, _Found("", text, words))


# Events of one application have few sets of keys among them.
@lru_cache(maxsize=1_024)
def _odd_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(key for key in keys if find_order_in_name(key) is not None)
