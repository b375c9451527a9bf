"""What a finding is called and what follows from it, by rule."""

from collections.abc import Callable
from typing import NamedTuple

from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.plain_wording import PLAIN, Plain
from halo_daemon.analyzer.rules.context import FULL_WINDOW, LARGE_PART, LOST_CACHE
from halo_daemon.analyzer.rules.error_kinds import (
    OTHER,
    Diagnosis,
    ErrorKind,
    FixType,
    error_kind,
)
from halo_daemon.analyzer.rules.feedback import ASKED_AGAIN
from halo_daemon.analyzer.rules.hand_offs import HAND_OFFS
from halo_daemon.analyzer.rules.obeyed import OBEYED
from halo_daemon.analyzer.rules.orphans import NO_RESULT
from halo_daemon.analyzer.rules.security import PASSED_ON
from halo_daemon.analyzer.rules.tool_choice import PLACEHOLDER
from halo_daemon.analyzer.safe_text import in_ticks
from halo_daemon.analyzer.step_wall import WALL


class Wording(NamedTuple):
    """The words of one finding."""

    title: str
    category: str
    diagnosis: Diagnosis
    fix_type: FixType
    advice: str
    cause: str
    also_known_as: tuple[str, ...] = ()


def wording_of(key: FindingKey) -> Wording:
    """
    The words for *key*; plain ones for a rule that is not known here.

    What comes out of traces stands between back-ticks, one line each, cut.
    """
    return _BY_RULE.get(key.rule, _unknown)(key)


def _subject(key: FindingKey) -> str:
    return in_ticks(key.subject, limit=60) if key.subject else "The run"


def _message(key: FindingKey) -> str:
    head, colon, rest = key.template.partition(":")
    if key.error_type and colon and head.endswith(f".{key.error_type}"):
        # The class by its module, as a traceback writes it.
        text = f"{key.error_type}:{rest}"
    elif key.error_type and not key.template.startswith(key.error_type):
        text = f"{key.error_type}: {key.template}" if key.template else key.error_type
    else:
        text = key.template
    return in_ticks(text)


def _unknown(key: FindingKey) -> Wording:
    return Wording(f"{_subject(key)}: {key.rule}", "other", "implementation", "other", "", "", ())


_KIND_TITLES = {
    "rate_limiting": "is refused because of a rate limit",
    "authentication": "is refused: not allowed",
    "timeout": "runs out of time",
    "resource_exhaustion": "runs out of a resource",
    "service_errors": "fails because a service is not available",
}


def _error(key: FindingKey) -> Wording:
    kind = error_kind(key.error_type, key.template)
    also: tuple[str, ...] = ()
    category = kind.category
    if kind is OTHER:
        category = "execution-error/service-errors" if key.rule == "infra_error" else "other"
        also = ("TRAIL:Tool-related",) if key.rule == "tool_error" else ()
    return Wording(
        title=f"{_subject(key)} fails: {_message(key)}",
        category=category,
        diagnosis=kind.diagnosis,
        fix_type=kind.fix_type,
        advice=kind.advice,
        cause=_cause(kind),
        also_known_as=also,
    )


def _cause(kind: ErrorKind) -> str:
    if kind is OTHER:
        return ""
    return f"The message is that of a known kind of error: {kind.name.replace('_', ' ')}."


def _infra(key: FindingKey) -> Wording:
    kind = error_kind(key.error_type, key.template)
    words = _error(key)
    if kind.name not in _KIND_TITLES:
        return words
    return words._replace(title=f"{_subject(key)} {_KIND_TITLES[kind.name]}: {_message(key)}")


def _bad_arguments(key: FindingKey) -> Wording:
    words = _error(key._replace(error_type="", template="unexpected argument"))
    if key.error_type == PLACEHOLDER:
        return words._replace(
            title=f"{_subject(key)} is given a placeholder for a value: {in_ticks(key.template)}",
            advice="Have the tool refuse placeholders, and tell the model where the value comes"
            " from or to ask for it.",
            cause="The model had no value to give, and filled the argument in all the same.",
        )
    what = in_ticks(key.template) if key.error_type == "schema" else _message(key)
    return words._replace(
        title=f"{_subject(key)} is called with arguments it does not take: {what}",
        cause="What the model believes the tool takes differs from what it takes.",
    )


def _made_up_tool(key: FindingKey) -> Wording:
    words = _error(key._replace(error_type="", template="unknown tool"))
    return words._replace(
        title=f"{_subject(key)} is called, but there is no such tool",
        cause="The model was told of the name, or expects a tool of that kind to exist.",
    )


def _repeated(key: FindingKey) -> Wording:
    return Wording(
        f"{_subject(key)} is called again with the same arguments and the same result",
        "repetitive-behavior/repetition-tool",
        "implementation",
        "code",
        "Answer a repeated call with a note that it was made before, and what came out; end the"
        " loop after the third.",
        "The result does not tell the model what to do differently.",
    )


def _blind_retry(key: FindingKey) -> Wording:
    return Wording(
        f"{_subject(key)} is called again unchanged right after it failed",
        "repetitive-behavior/repetition-tool",
        "implementation",
        "tool_description",
        "Let the error say what to change; a message that only says no invites the same call.",
        "The error does not tell the model what to change.",
    )


def _truncated(key: FindingKey) -> Wording:
    how = "is cut at the token limit" if key.error_type == "token limit" else "ends unfinished"
    return Wording(
        f"Output of {_subject(key)} {how}",
        "llm-output/nonsensical",
        "implementation",
        "config",
        "Raise the output token limit of this call, or ask for less at once; treat a cut answer"
        " as an error, not as an answer.",
        "The answer needs more tokens than the call allows.",
    )


def _filtered(key: FindingKey) -> Wording:
    return Wording(
        f"Output of {_subject(key)} is stopped by the provider's filter",
        "llm-output/nonsensical",
        "external",
        "system_prompt",
        "Read the inputs of these calls; answer a filtered call with a fixed text instead of"
        " nothing.",
        "",
    )


def _premature_end(key: FindingKey) -> Wording:
    if key.error_type == NO_RESULT:
        return Wording(
            f"{_subject(key)} was asked for, and the run went on without its result",
            "orchestration-related-errors/premature-termination",
            "implementation",
            "code",
            "Answer every call that the model asks for, with an error where it cannot be run: a"
            " model that hears nothing guesses what came out.",
            "",
        )
    if key.subject:
        title = f"The run ends although {_subject(key)} was asked for and never ran"
    else:
        title = "The run ends with an empty answer"
    return Wording(
        title,
        "orchestration-related-errors/premature-termination",
        "implementation",
        "code",
        "Look at what ended the loop; a run must end with an answer or with an error.",
        "",
    )


def _budget(key: FindingKey) -> Wording:
    words = _error(key._replace(error_type="", template="maximum iterations"))
    if key.error_type == WALL:
        title = f"Runs stop without an answer at exactly {key.template}"
        cause = "A limit of that number ends the loop, and nothing tells the user."
        return words._replace(title=title, cause=cause)
    return words._replace(title="The run is stopped by its limit on steps", cause="")


_INJECTION = Plain(
    "{subject} returns text that gives orders to the model",
    "security",
    "external",
    "code",
    "Mark tool results as data, and strip or refuse what addresses the model.",
)
_INJECTION_TITLES = {
    OBEYED: "{subject} is called with what a text that gives orders to the model supplied",
    "document": "{subject} retrieves a document that gives orders to the model",
    "status message": "{subject} reports a status that gives orders to the model",
    "event": "{subject} records an event that gives orders to the model",
    "attribute key": "{subject} records an attribute whose name gives orders to the model",
    "span name": "The name of a span gives orders to the model",
}
_SKIPPED_PLAN = Plain(
    "The run plans to use {subject} and answers without it",
    "orchestration-related-errors/goal-deviation",
    "not_followed",
    "system_prompt",
    "Let the loop refuse an answer while steps of the plan are open, or let the agent say why"
    " it dropped them.",
    "The model answers from what it knows instead of doing what it planned.",
)
_FEEDBACK = Plain(
    "Users rate the run badly",
    "task-instruction/problem-id",
    "not_followed",
    "system_prompt",
    "Read the runs that users complained about before any others.",
)

_FEEDBACK_TITLES = {
    "words": "Users tell the agent that it is wrong",
    ASKED_AGAIN: "Users ask again for the same, in the same words or in others",
}


def _plain(key: FindingKey) -> Wording:
    words = PLAIN[key.rule]
    kind = in_ticks(key.error_type, limit=60) if key.error_type else ""
    title = words.title.format(subject=_subject(key), kind=kind, change=in_ticks(key.template))
    return Wording(title, *words[1:])


_CONTEXT_TITLES = {
    FULL_WINDOW: "Prompts of {subject} fill at least four fifths of its window",
    LARGE_PART: "More than half of the prompt is one message of role {template}",
    LOST_CACHE: "Prompts that came from the cache no longer do later in the run",
}
_CONTEXT_ADVICE = {
    LARGE_PART: "Store the part and send what is needed of it, or let the tool answer in pages.",
    LOST_CACHE: "Keep the beginning of the prompt unchanged from call to call: append, and put"
    " what varies last.",
}


def _context(key: FindingKey) -> Wording:
    words = _plain(key)
    title = _CONTEXT_TITLES.get(key.error_type)
    if title is None:
        return words
    filled = title.format(subject=_subject(key), template=in_ticks(key.template or "unknown"))
    advice = _CONTEXT_ADVICE.get(key.error_type, words.advice)
    return words._replace(title=filled, advice=advice)


_DRIFT_TITLES = {
    "contract": "{subject} is offered in another way than the contract states: {change}",
    "definition": "{subject} changed what it takes: {change}",
    "result": "{subject} returns something else than the contract states: {change}",
}


def _drift(key: FindingKey) -> Wording:
    title = _DRIFT_TITLES.get(key.error_type, "The definition of {subject} changed: {change}")
    return Wording(
        title.format(subject=_subject(key), change=in_ticks(key.template)),
        "configuration-mismatch/tool-definition",
        "implementation",
        "tool_description",
        "Check that prompts, examples and callers know the new definition, and that the contract"
        " says what holds now.",
        "",
    )


def _cycle(key: FindingKey) -> Wording:
    words = _plain(key)
    if key.error_type != HAND_OFFS:
        return words
    return words._replace(
        title=f"Agents hand the run round in circles: {_subject(key)}",
        advice="Let an agent that lacks something say what, and to whom; count the hand-offs of a"
        " run, and end it with a question to the user after the third equal round.",
        cause="Each agent waits for what only another one could give.",
    )


def _ungrounded(key: FindingKey) -> Wording:
    words = _plain(key)
    if key.error_type != "total":
        return words
    return words._replace(
        title="The answer gives a total that its own figures do not add up to",
        advice="Let a tool work sums out, or check them before answering.",
    )


def _skipped_plan(key: FindingKey) -> Wording:
    title = _SKIPPED_PLAN.title.format(subject=_subject(key))
    if not key.subject:
        title = "The run makes a plan and answers before anything was done"
    return Wording(title, *_SKIPPED_PLAN[1:])


def _injection(key: FindingKey) -> Wording:
    title = _INJECTION_TITLES.get(key.error_type, _INJECTION.title)
    subject = _subject(key) if key.subject else "A step"
    return Wording(title.format(subject=subject), *_INJECTION[1:])


def _secret(key: FindingKey) -> Wording:
    words = _plain(key)
    if key.error_type != PASSED_ON:
        return words
    return words._replace(
        title=f"{_subject(key)} is called with a secret that a tool brought",
        diagnosis="implementation",
        fix_type="code",
        advice="Keep keys out of what tools return, refuse calls that carry one, and replace the"
        " secret.",
    )


def _feedback(key: FindingKey) -> Wording:
    wording = Wording(*_FEEDBACK)
    title = _FEEDBACK_TITLES.get(key.error_type)
    return wording._replace(title=title) if title else wording


_BY_RULE: dict[str, Callable[[FindingKey], Wording]] = {
    "tool_error": _error,
    "span_error": _error,
    "infra_error": _infra,
    "bad_arguments": _bad_arguments,
    "made_up_tool": _made_up_tool,
    "repeated_call": _repeated,
    "blind_retry": _blind_retry,
    "truncated_output": _truncated,
    "filtered_output": _filtered,
    "premature_end": _premature_end,
    "budget_exhausted": _budget,
    "negative_feedback": _feedback,
    "injection_text": _injection,
    "skipped_plan": _skipped_plan,
    **dict.fromkeys(PLAIN, _plain),
    "cycle": _cycle,
    "secret_in_span": _secret,
    "context_growth": _context,
    "contract_drift": _drift,
    "ungrounded_answer": _ungrounded,
}
