"""
Whether a trace failed, as far as the trace itself says.

What the project's contract states comes first, then people, then evaluators, then
labels, then the root's status. A status
of OK is the default of many frameworks, so it counts only as what it is: the
source is reported with every outcome.
"""

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from halo_daemon.analyzer.contract import OutcomeRule
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace

Verdict = Literal["failed", "ok", "unknown"]

_FEEDBACK_KEYS = ("feedback.score", "user_feedback.score", "feedback.value", "feedback.label")
_EVALUATOR_KEYS = (
    "gen_ai.evaluation.score.value",
    "gen_ai.evaluation.score.label",
    "eval.score",
    "evaluation.score",
    "evaluator.score",
    "eval.label",
    "evaluation.label",
)
_LABEL_KEYS = ("outcome", "task.outcome", "run.outcome", "trace.outcome", "test.result")
_FAILED_WORDS = frozenset(
    {"bad", "down", "error", "fail", "failed", "failure", "false", "incorrect", "negative"}
    | {"not_resolved", "thumbs-down", "thumbs_down", "unresolved", "unsuccessful", "wrong"}
)
_OK_WORDS = frozenset(
    {"correct", "good", "ok", "pass", "passed", "positive", "resolved", "success", "successful"}
    | {"succeeded", "thumbs-up", "thumbs_up", "true", "up"}
)
_SOURCES = (
    ("feedback", _FEEDBACK_KEYS),
    ("evaluator", _EVALUATOR_KEYS),
    ("label", _LABEL_KEYS),
)
_PASSING_SCORE = 0.5

OUTCOME_KEYS = frozenset(key for _, keys in _SOURCES for key in keys)
"""Attributes that may state an outcome."""


class Outcome(NamedTuple):
    """What became of a trace, and who says so."""

    verdict: Verdict
    source: str
    """``contract``, ``feedback``, ``evaluator``, ``label``, ``status`` or ``none``."""


UNKNOWN = Outcome("unknown", "none")


def outcome_of(trace: Trace, root: Span, stated: Iterable[OutcomeRule] = ()) -> Outcome:
    """
    The outcome that the strongest source states; of several statements, any failure wins.

    *stated* are the project's own rules; an attribute of theirs that a trace has decides.
    """
    by_rule = {
        _ruled(rule, attributes[rule.attribute])
        for rule in stated
        for attributes in _attribute_sets(trace)
        if rule.attribute in attributes
    } - {"unknown"}
    if by_rule:
        return Outcome("failed" if "failed" in by_rule else "ok", "contract")
    for source, keys in _SOURCES:
        verdicts = {
            verdict
            for attributes in _attribute_sets(trace)
            for key in keys
            if key in attributes and (verdict := _verdict(attributes[key])) != "unknown"
        }
        if verdicts:
            return Outcome("failed" if "failed" in verdicts else "ok", source)
    return status_outcome(root)


def status_outcome(root: Span) -> Outcome:
    """What the status of the root alone says."""
    if root.has_error_status:
        return Outcome("failed", "status")
    return Outcome("ok", "status") if root.status_code == "STATUS_CODE_OK" else UNKNOWN


def _attribute_sets(trace: Trace) -> Iterator[JsonObject]:
    for span in trace.spans:
        yield span.attributes
        for event in span.events:
            attributes = event.get("attributes")
            if isinstance(attributes, dict):
                yield attributes


def _ruled(rule: OutcomeRule, value: JsonValue) -> Verdict:
    # True is 1 to Python and another value to whoever wrote the rule.
    if any(type(value) is type(failed) and value == failed for failed in rule.failed_when):
        return "failed"
    if rule.failed_below is None:
        return "ok" if rule.failed_when else _verdict(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "unknown"
    return "failed" if value < rule.failed_below else "ok"


def _verdict(value: JsonValue) -> Verdict:
    if isinstance(value, bool):
        return "ok" if value else "failed"
    if isinstance(value, int | float):
        return "failed" if value < _PASSING_SCORE else "ok"
    word = value.strip().lower() if isinstance(value, str) else ""
    if word in _FAILED_WORDS:
        return "failed"
    return "ok" if word in _OK_WORDS else "unknown"
