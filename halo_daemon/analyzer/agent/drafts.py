"""A finding as the model writes it, before anything of it is believed."""

from typing import Literal

from pydantic import Field

from halo_daemon.analyzer.agent.arguments import Fields, ToolArguments


class DraftEvidence(Fields):
    """One quoted span."""

    trace_id: str
    span_id: str
    quote: str = Field(min_length=3)
    """Words copied from a value of that span, up to 400 characters."""

    role: Literal["symptom", "decision", "recovery", "counterexample"] = "symptom"
    """Where it shows; where it was decided; where it was mended; where it went well."""

    attribute: str = ""
    """The attribute that holds the quote, when known."""


class DraftCause(Fields):
    """Why it happens."""

    state: Literal["confirmed", "hypothesis", "unknown"] = "hypothesis"
    text: str = ""


class DraftRecommendation(Fields):
    """What to change."""

    fix_type: Literal[
        "tool_description", "system_prompt", "code", "config", "infra", "eval", "other"
    ] = "other"
    text: str = ""
    effort: Literal["S", "M", "L"] = "M"
    expected_effect: str = ""
    validation_plan: str = ""


class DraftFinding(ToolArguments):
    """Record one failure mode with quoted evidence. The answer says whether each quote was
    found; record the same title again to mend a wrong one. Claims whose quotes are not found
    are listed apart and alert nobody.
    """

    title: str = Field(min_length=8, max_length=200)
    """What goes wrong, in one sentence, with tool or agent named."""

    category: str = "other"
    """`<group>/<name>`, such as `execution-error/tool-schema` or
    `orchestration-related-errors/goal-deviation`."""

    severity: Literal["critical", "high", "medium", "low", "info"] = "low"
    confidence: float = Field(default=0.5, ge=0, le=1)
    evidence: list[DraftEvidence] = Field(min_length=1, max_length=10)
    query_id: str = ""
    """A query whose traces are the affected ones; the counts are taken from it."""

    affected_traces: int | None = Field(default=None, ge=0)
    """How many traces you say are affected; checked against the query."""

    affected_trace_ids: list[str] = Field(default_factory=list, max_length=500)
    """The affected traces, where no query finds them."""

    explains: str = ""
    """Id of a finding of `get_findings` that this one explains or repeats."""

    root_cause: DraftCause = Field(default_factory=DraftCause)
    diagnosis_class: Literal[
        "missing_requirement", "not_followed", "implementation", "observability", "external"
    ] = "implementation"
    recommendation: DraftRecommendation = Field(default_factory=DraftRecommendation)
