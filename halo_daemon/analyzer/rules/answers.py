"""What a run tells its user, held against what it did."""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from halo_daemon.analyzer.content import ModelCall, Text, records_result, text_of
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.observation import Observation, RuleOutput, quote
from halo_daemon.analyzer.populations import Population
from halo_daemon.analyzer.rules.claims import DONE, claims_in
from halo_daemon.analyzer.rules.quotations import attributed, first_made_up
from halo_daemon.analyzer.rules.tool_words import runs_anything, words_of, writes
from halo_daemon.analyzer.rules.totals import wrong_totals
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.span import AGENT, LLM, Span

if TYPE_CHECKING:
    from halo_daemon.findings import Certainty

REFUSAL = "refusal"
CLAIMED_NOTDONE = "claimed_not_done"
UNGROUNDED_ANSWER = "ungrounded_answer"
_REFUSAL_FIELD = ".message.refusal"
_REFUSED = "refusal"
_TALKS = frozenset({AGENT, LLM})
_ROLES_OF_A_BEGINNING = frozenset({"system", "developer", "user"})
_HEAD_CHARS = 300
_MAX_ANSWER_CHARS = 3_000
_MAX_VALUES = 20

_REFUSALS = re.compile(
    r"\s*(?:(?:i'?m|i am) (?:very |so |really )?(?:sorry|afraid)[^.!\n]{0,40}"
    r"(?:can'?t|cannot|unable|not able|won'?t)|sorry[,.]? (?:but )?i (?:can'?t|cannot|am unable)"
    r"|i (?:can'?t|cannot|am unable to|won'?t) (?:help|assist|comply|do that|provide|discuss)"
    r"|as an ai (?:language )?model"
    r"|(?:es )?tut mir leid[,.]? (?:aber )?(?:ich kann|das kann ich)"
    r"|lo siento[,.]? (?:pero )?no (?:puedo|me es posible)"
    r"|(?:je suis )?désolée?[,.]? (?:mais )?je ne peux"
    r"|mi dispiace[,.]? (?:ma )?non posso|desculpe[,.]? (?:mas )?não posso"
    r"|抱歉|对不起|申し訳(?:あり|ござい)ません|죄송)",
    re.IGNORECASE,
)
_VALUE = re.compile(
    r"https?://[^\s\"'<>)\]}]+|\b(?=[A-Z0-9_-]*[0-9])(?=[A-Z0-9_-]*[A-Z])[A-Z0-9_-]{6,}\b"
    r"|(?<![0-9][.,])\b[0-9]{1,12}\.[0-9]{5,12}\b|(?<![0-9][.,])\b[0-9]{5,}\b"
)
_DECIMALS = re.compile(r"(?<![0-9.])[0-9]{1,12}\.[0-9]{5,40}")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_CODE_LINE = re.compile(r"diff --git|[ \t]*(?:def|class|import|from|function|const|SELECT)\b")


def check_refusals(view: TraceView) -> RuleOutput:
    """
    Runs that end with a refusal; no failure unless it goes with one.

    The model says so in a field of its own, or by why it finished; else the answer opens
    with one.
    """
    answer = None if view.is_open else view.final_answer
    stated = None if view.is_open else _stated_refusal(view)
    if answer is None and stated is None:
        return RuleOutput(of=1, not_checked={"not_applicable": 1})
    agent = view.agent_of(view.root)
    observations: tuple[Observation, ...] = ()
    said = stated
    if said is None and answer is not None and _REFUSALS.match(answer[1].value[:_HEAD_CHARS]):
        said = answer
    if said is not None:
        cited = quote(said[0], "symptom", said[1])
        key = FindingKey(REFUSAL, agent, "", "", "")
        observations = (Observation(key, (cited,), certainty="event", recovered=True),)
    return RuleOutput(observations, _agent(agent), checked=1, of=1)


def _stated_refusal(view: TraceView) -> tuple[Span, Text] | None:
    """Where the last model call states that it refuses."""
    last = view.final_call
    if last is None:
        return None
    for key, value in last.span.attributes.items():
        if key.endswith(_REFUSAL_FIELD) and isinstance(value, str) and value.strip():
            return last.span, Text(key, value)
    reason = last.finish_reason
    if reason.value.lower() == _REFUSED:
        return last.span, Text(reason.attribute, text_of(last.span.attributes[reason.attribute]))
    return None


def _agent(agent: str) -> frozenset[Population]:
    return frozenset({Population("agent", agent, "")})


def check_claims(view: TraceView) -> RuleOutput:
    """Words to the user that something was done, without a successful call that could have done it."""
    if not _shows_deeds(view):
        return RuleOutput(of=1, not_checked={"not_applicable": 1})
    observations: dict[FindingKey, Observation] = {}
    doable, done, stated = _doable(view), _done_since(view), _stated_deeds(view)
    for span, text in _told(view):
        for verb, at in claims_in(text.value[:_MAX_ANSWER_CHARS]):
            if verb in doable and done.get(verb, span.end_unix_ns + 1) > span.end_unix_ns:
                key = FindingKey(CLAIMED_NOTDONE, view.agent_of(span), "", verb, "")
                cited = quote(span, "decision", text, _sentence(text.value, at))
                certainty: Certainty = "proved" if verb in stated else "candidate"
                observations.setdefault(key, Observation(key, (cited,), certainty=certainty))
    eligible = view.agent_populations
    return RuleOutput(tuple(observations.values()), eligible, checked=1, of=1)


def _shows_deeds(view: TraceView) -> bool:
    """
    Whether what was done would stand in the trace.

    A run without calls shows that nothing was done only where tools were offered, none was
    asked for, and nothing went before: what an earlier turn did is in another trace.
    """
    if view.tool_calls:
        return not any(runs_anything(call.tool) for call in view.tool_calls)
    calls = view.model_calls
    if any(span.observation_kind not in _TALKS for span in view.trace.spans[1:]):
        return False
    return (
        any(call.offered for call in calls)
        and not any(call.requested or _ended_for_a_tool(call) for call in calls)
        and not any(runs_anything(tool.name) for call in calls for tool in call.offered)
        and not any(_goes_on(call) for call in calls)
    )


def _ended_for_a_tool(call: ModelCall) -> bool:
    """Whether the model stopped for a call, be it recorded or not."""
    return call.finish_reason.value.lower().startswith(("tool", "function"))


def _goes_on(call: ModelCall) -> bool:
    """Whether the model was shown words of its own, or what a tool had said."""
    roles = (call.span.text(message.role) for message in call.shape.messages)
    return any(role not in _ROLES_OF_A_BEGINNING for role in roles)


def _told(view: TraceView) -> Iterator[tuple[Span, Text]]:
    """What the model said without asking for a tool in the same breath."""
    for call in view.model_calls:
        if not call.requested and call.answer.value:
            yield call.span, call.answer


def _doable(view: TraceView) -> frozenset[str]:
    """Verbs that the tools could do: all where an offer is known, else those of tools called."""
    if any(call.offered for call in view.model_calls):
        return frozenset(DONE)
    called = {word for subject in view.used_tools for word in words_of(subject.name)}
    return frozenset(verb for verb, words in DONE.items() if not called.isdisjoint(words))


def _stated_deeds(view: TraceView) -> frozenset[str]:
    """Verbs that the contract knows the tools for: without a call of them, nothing was done."""
    tools = view.settings.contract.tools
    words = {w for name, tool in tools.items() if tool.side_effecting for w in words_of(name)}
    return frozenset(verb for verb, wanted in DONE.items() if not words.isdisjoint(wanted))


def _done_since(view: TraceView) -> dict[str, int]:
    """When a call of that kind, or any other write (names are not exact), first succeeded."""
    since: dict[str, int] = {}
    for call in view.tool_calls:
        if call.signal is not None or call.tool in since:
            continue
        since[call.tool] = call.span.start_unix_ns
    done: dict[str, int] = {}
    for tool, start_unix_ns in since.items():
        words = words_of(tool)
        for verb, wanted in DONE.items():
            if writes(tool) or not words.isdisjoint(wanted):
                done[verb] = min(start_unix_ns, done.get(verb, start_unix_ns))
    return done


def _sentence(text: str, at: int) -> str:
    start = max(text.rfind(mark, 0, at) for mark in ".!?\n") + 1
    ends = [end for mark in ".!?\n" if (end := text.find(mark, at)) >= 0]
    return text[start : min(ends, default=len(text)) + 1].strip()[:_HEAD_CHARS]


def check_grounding(view: TraceView) -> RuleOutput:
    """
    What a final answer states and nothing supports.

    Addresses, codes, long numbers and quotations that no input and no result holds, and
    totals that its own figures do not add up to. What a run that failed ended with is the
    news of its failure.
    """
    answer = None if view.is_open or view.has_error(view.root) else view.final_answer
    if answer is None or not view.tool_calls or _holds_code(answer[1].value):
        return RuleOutput(of=1, not_checked={"not_applicable": 1})
    if len(answer[1].value) > _MAX_ANSWER_CHARS:
        return RuleOutput(of=1, not_checked={"over_limit": 1})
    agent = view.agent_of(view.root)
    found: dict[str, Observation] = {}
    for kind, words in _unsupported(view, answer[1].value):
        key = FindingKey(UNGROUNDED_ANSWER, agent, "", kind, "")
        quotes = [quote(answer[0], "symptom", answer[1], words)]
        if view.final_call and view.final_call.span is not answer[0]:
            quotes.append(quote(view.final_call.span, "decision", view.final_call.answer))
        found.setdefault(kind, Observation(key, tuple(quotes)))
    return RuleOutput(tuple(found.values()), _agent(agent), checked=1, of=1)


def _holds_code(text: str) -> bool:
    return "```" in text or any(map(_CODE_LINE.match, text.split("\n")))


def _unsupported(view: TraceView, answer: str) -> Iterator[tuple[str, str]]:
    """Kind and words of everything in *answer* that has no support."""
    invented = next((value for value in _values(answer) if not _is_known(view, value)), "")
    if invented:
        yield (
            "address" if "://" in invented else "number" if _NUMBER.fullmatch(invented) else "code",
            invented,
        )
    quotations = tuple(attributed(answer))
    # What a tool said and was not recorded may hold any words.
    if quotations and all(records_result(call.span) for call in view.tool_calls):
        made_up = first_made_up(quotations, (view.task_input.value, *view.given_texts))
        if made_up:
            yield "quotation", made_up
    for total in wrong_totals(answer):
        # What a source states as the total may count what the answer leaves out.
        if not _is_known(view, total.stated or total.text):
            yield "total", total.text


def _values(answer: str) -> list[str]:
    return [match[0].rstrip(".,;:") for match in _VALUE.finditer(answer)][:_MAX_VALUES]


def _is_known(view: TraceView, value: str) -> bool:
    texts = (view.task_input.value, *view.given_texts)
    if any(value in text for text in texts):
        return True
    return "." in value and _NUMBER.fullmatch(value) is not None and _is_rounded(value, texts)


def _is_rounded(value: str, texts: Iterable[str]) -> bool:
    """Whether a number with more decimals in one of *texts* rounds to *value*."""
    step = Decimal(1).scaleb(-len(value.partition(".")[2]))
    return any(
        Decimal(match[0]).quantize(step) == Decimal(value)
        for text in texts
        for match in _DECIMALS.finditer(text)
    )
