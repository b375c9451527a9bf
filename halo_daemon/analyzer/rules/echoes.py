"""Code that only prints what stands in it: a call in words, where a call was meant."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from halo_daemon.analyzer.content import Text
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.observation import Observation, RuleOutput, StepRange, quote
from halo_daemon.analyzer.rules.errors import decision_quote, subject_of
from halo_daemon.analyzer.rules.tool_words import runs_anything
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.span import LLM, Span

ECHOED_RESULT = "echoed_result"
_MIN_CHARS = 40
_MAX_NEW_CHARS = 60
_MAX_CHARS = 8_000
_PRINTS = re.compile(r"\b(?:print|console\.log|puts|println!?|Write-Output)\s*\(?|\becho\s")
_WRITES = re.compile(r"(?<![=<>-])>{1,2}\s*[\w./\"'$]|\btee\b|\bopen\(")
_FENCED = re.compile(r"```\w*\n(.*?)```", re.DOTALL)
_LITERAL = re.compile(
    r"\"\"\"[^\"]*(?:\"\"?[^\"]+)*\"\"\"|'''[^']*(?:''?[^']+)*'''|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'"
)
_CALL = re.compile(r"([A-Za-z_]\w*)\s*\(")
_IDLE_CALLS = frozenset({"print", "log", "puts", "println", "str", "format", "join", "dedent"})
_NOISE = re.compile(r"\W+")


class _Ran(NamedTuple):
    """Code that ran and what came out."""

    span: Span
    code: str
    result: Text
    asked: Span | None
    """The model call whose code a framework ran; None for the call of a tool."""


def check_echoes(view: TraceView) -> RuleOutput:
    """Code whose whole result is text that the code itself holds."""
    ran = list(_ran(view))
    if not ran:
        return RuleOutput(of=1, not_checked={"not_applicable": 1})
    echoed = [_is_echo(view, one) for one in ran]
    last_work = max((at for at, is_echo in enumerate(echoed) if not is_echo), default=-1)
    observations = [
        _observation(view, one, is_last=at > last_work) for at, one in enumerate(ran) if echoed[at]
    ]
    return RuleOutput(tuple(observations), view.span_populations, checked=len(ran), of=len(ran))


def _ran(view: TraceView) -> Iterator[_Ran]:
    """Calls of tools that run code, and steps of a framework that run what the model wrote."""
    for call in view.tool_calls:
        if runs_anything(call.tool):
            yield _Ran(call.span, call.arguments.value, call.result, None)
    for span in view.framework_steps:
        asked = view.model_calls_under(span)
        if len(asked) == 1 and "```" in asked[0].answer.value:
            result = Text("output.value", span.text("output.value"))
            yield _Ran(span, asked[0].answer.value, result, asked[0].span)


def _is_echo(view: TraceView, ran: _Ran) -> bool:
    code, result = ran.code, ran.result.value
    if not _MIN_CHARS <= len(result) <= min(_MAX_CHARS, 2 * len(code)) or len(code) > _MAX_CHARS:
        return False
    # What holds the code again is the code handed on, not its result.
    if not _PRINTS.search(code) or _PRINTS.search(result) or _WRITES.search(code):
        return False
    if any(name not in _IDLE_CALLS for name in _CALL.findall(_LITERAL.sub("", _program(code)))):
        return False
    source = _bare(code)
    lines = [_bare(line) for line in result.splitlines()]
    echoed = [line for line in lines if line in source]
    # Headings with nothing under them are a search that found nothing, which is another thing.
    is_told = any(len(line) >= _MIN_CHARS for line in echoed)
    new_chars = sum(map(len, lines)) - sum(map(len, echoed))
    if not is_told or new_chars > _MAX_NEW_CHARS:
        return False
    answer = _bare(view.final_answer[1].value[:_MAX_CHARS]) if view.final_answer else ""
    return not (answer and ("".join(echoed) in answer or answer in "".join(echoed)))


def _program(code: str) -> str:
    """The fenced part of what a model wrote; all of it when nothing is fenced."""
    fenced = "\n".join(_FENCED.findall(code))
    return fenced or code


def _bare(text: str) -> str:
    return _NOISE.sub("", text)


def _observation(view: TraceView, ran: _Ran, *, is_last: bool) -> Observation:
    subject = subject_of(view, ran.span)
    decision = ran.asked or view.decision_of(ran.span)
    quotes = [quote(ran.span, "symptom", ran.result)]
    if decision is not None and decision.observation_kind == LLM:
        quotes.append(decision_quote(decision))
    first = view.step_at((decision or ran.span).start_unix_ns)
    return Observation(
        key=FindingKey(ECHOED_RESULT, subject.agent, subject.name, "", ""),
        quotes=tuple(quotes),
        recovered=not is_last,
        wasted=StepRange(
            first, view.step_at(max(ran.span.end_unix_ns, ran.span.start_unix_ns + 1))
        ),
    )
