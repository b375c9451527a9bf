"""Merged observations of one key as a finding: counts, intervals, severity, evidence."""

import math

from halo_daemon.analyzer.evidence import evidence_of
from halo_daemon.analyzer.fingerprint import ALGORITHM, FindingKey, finding_id
from halo_daemon.analyzer.partial import CERTAINTIES, Group, Hit, Partial
from halo_daemon.analyzer.ranking import Scored, Weighed, score_of, severity_of
from halo_daemon.analyzer.rules.injection import INJECTION_TEXT
from halo_daemon.analyzer.rules.obeyed import OBEYED
from halo_daemon.analyzer.rules.registry import RULE_IDS
from halo_daemon.analyzer.rules.security import PASSED_ON, SECRET_IN_SPAN
from halo_daemon.analyzer.rules.side_effects import DOUBLE_SIDE_EFFECT
from halo_daemon.analyzer.safe_text import in_ticks
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.stats import Interval, design_effect, wilson_rate
from halo_daemon.analyzer.waste import Waste, share_of, waste_of
from halo_daemon.analyzer.wording import Wording, wording_of
from halo_daemon.findings import (
    Association,
    Certainty,
    Counts,
    Finding,
    Fingerprint,
    Recommendation,
    RootCause,
    SubjectCount,
    VersionCount,
)
from halo_daemon.proto.times import format_unix_ns

_CONFIDENCE: dict[Certainty, float] = {"proved": 0.97, "event": 0.9, "candidate": 0.6}
_DIGITS = 6
_MAX_VERSIONS = 20


def counted_hits(group: Group) -> dict[str, Hit]:
    """Traces that show the finding well enough to count; all of them where none does."""
    strong = {trace_id: hit for trace_id, hit in group.hits.items() if not hit.is_weak}
    return strong or group.hits


def group_finding(
    known: Partial,
    key: FindingKey,
    *,
    group: Group,
    eligible: set[str],
    subjects: tuple[SubjectCount, ...],
    window: Waste,
    association: Association | None,
    settings: MinerSettings,
    name: str,
) -> Scored:
    """The finding of *key*; *name* is what people call it, ``""`` where they do not."""
    hits = counted_hits(group)
    strong = any(not hit.is_weak for hit in hits.values())
    waste = waste_of(known, hits)
    share = share_of(waste, window)
    counts, unrecovered = _counts(known, hits, eligible)
    certainty = min((hit.certainty for hit in hits.values()), key=CERTAINTIES.index)
    weighed = severity_of(
        critical=_critical(key, certainty),
        unrecovered=counts.affected_traces - counts.recovered,
        unrecovered_ci=unrecovered,
        associated=_goes_with_failure(association, settings),
        cost_share=share,
        settings=settings,
    )
    record = _record(
        key, weighed=weighed, counts=counts, certainty=certainty, seen=_seen(known, hits)
    )
    users = [(row.agent, row.name) for row in subjects] or [(key.agent, key.subject)]
    finding = record.model_copy(
        update={
            "association": association,
            "by_version": _by_version(known, hits, eligible),
            "by_subject": subjects,
            "evidence": evidence_of(known, users, group, settings.max_evidence),
            **_words_for_several(key, subjects, name),
        }
    )
    enough = counts.affected_traces >= settings.min_support_traces
    return Scored(
        score=score_of(weighed.severity, certainty, counts.ci95[0], share),
        finding=finding,
        is_supported=strong,
        is_strong=strong and (enough or weighed.severity == "critical"),
    )


def _words_for_several(
    key: FindingKey, subjects: tuple[SubjectCount, ...], name: str
) -> dict[str, object]:
    """What is said otherwise of a finding that people named, or that several tools share."""
    if name:
        put_together = f"put together by a rule of the project ({in_ticks(key.rule)})"
        return {"title": f"{in_ticks(name)}, {put_together}"}
    if not subjects:
        return {}
    return {"root_cause": RootCause(state="hypothesis", text=_cause_of(subjects))}


def _cause_of(subjects: tuple[SubjectCount, ...]) -> str:
    """Why what *subjects* show is put down to one thing; those that it spares tonight show none."""
    hit = [row for row in subjects if row.affected]
    tools = len({row.name for row in hit})
    if tools > 1:
        return f"{tools} tools fail alike, and every failure names it."
    if len(hit) > 1:
        return "The tool of several agents fails alike, and every failure names it."
    return "Every failure names it, and earlier ones of other tools did."


def _critical(key: FindingKey, certainty: Certainty) -> str:
    """What makes a single trace enough to act on; ``""`` for nothing."""
    if key.rule == DOUBLE_SIDE_EFFECT and certainty == "proved":
        return "a side effect that must happen once happened twice"
    if key.rule == INJECTION_TEXT and key.error_type == OBEYED:
        return "a text from outside led to an action"
    if key.rule == SECRET_IN_SPAN and key.error_type == PASSED_ON:
        return "a secret that a tool brought was passed on"
    return ""


def _goes_with_failure(association: Association | None, settings: MinerSettings) -> bool:
    return (
        association is not None and association.q <= settings.fdr_q and association.odds_ratio > 1
    )


def _counts(known: Partial, hits: dict[str, Hit], eligible: set[str]) -> tuple[Counts, Interval]:
    facts = [known.traces[trace_id] for trace_id in hits]
    affected, n = len(hits), len(eligible)
    recovered = sum(hit.is_recovered for hit in hits.values())
    effective = n / _session_effect(known, hits, eligible)
    low, high = wilson_rate(affected / n, effective)
    counts = Counts(
        affected_traces=affected,
        eligible_traces=n,
        rate=round(affected / n, _DIGITS),
        ci95=(round(low, _DIGITS), round(high, _DIGITS)),
        spans=sum(hit.spans for hit in hits.values()),
        sessions=len({fact.session_id for fact in facts} - {""}),
        users=len({fact.user_id for fact in facts} - {""}),
        recovered=recovered,
    )
    return counts, wilson_rate((affected - recovered) / n, effective)


def _session_effect(known: Partial, hits: dict[str, Hit], eligible: set[str]) -> float:
    """Design effect of sessions; traces without one stand for themselves."""
    clusters: dict[str, list[int]] = {}
    for trace_id in sorted(eligible):
        facts = known.traces[trace_id]
        cluster = clusters.setdefault(facts.session_id or trace_id, [0, 0])
        cluster[0] += trace_id in hits
        cluster[1] += 1
    return design_effect([(affected, size) for affected, size in clusters.values()])


def _seen(known: Partial, hits: dict[str, Hit]) -> tuple[int, int]:
    """Start of the first affected trace and of the last one."""
    starts = [known.traces[trace_id].start_unix_ns for trace_id in hits]
    return min(starts), max(starts)


def _record(
    key: FindingKey,
    *,
    weighed: Weighed,
    counts: Counts,
    certainty: Certainty,
    seen: tuple[int, int],
) -> Finding:
    words, identity = wording_of(key), finding_id(key)
    return Finding(
        finding_id=identity,
        fingerprint=Fingerprint(algo=ALGORITHM, parts=tuple(key)),
        title=words.title,
        category=words.category,
        also_known_as=words.also_known_as,
        source=f"rule:{RULE_IDS[key.rule]}",
        certainty=certainty,
        severity=weighed.severity,
        severity_rule=weighed.rule,
        confidence=_CONFIDENCE[certainty],
        first_seen=format_unix_ns(seen[0]),
        last_seen=format_unix_ns(seen[1]),
        counts=counts,
        root_cause=RootCause(state="hypothesis" if words.cause else "unknown", text=words.cause),
        diagnosis_class=words.diagnosis,
        recommendation=_recommendation(words, identity, key, counts),
    )


def _recommendation(
    words: Wording, identity: str, key: FindingKey, counts: Counts
) -> Recommendation:
    target = counts.ci95[0] / 2
    return Recommendation(
        fix_type=words.fix_type,
        text=words.advice,
        effort="S" if words.fix_type in {"tool_description", "system_prompt", "config"} else "M",
        expected_effect=f"up to {counts.affected_traces} traces of such a window without it",
        validation_plan=(
            f"rule `{RULE_IDS[key.rule]}` on the next {_traces_to_tell(counts)} eligible traces:"
            f" rate below {target:.3f}"
        ),
        check=f"halo-daemon analyze --finding {identity} --since 2h",
    )


def _traces_to_tell(counts: Counts) -> int:
    """Eligible traces without the finding after which its old rate is ruled out."""
    low = counts.ci95[0]
    return min(100_000, math.ceil(math.log(0.05) / math.log(1 - low))) if 0 < low < 1 else 30


def _by_version(
    known: Partial, hits: dict[str, Hit], eligible: set[str]
) -> tuple[VersionCount, ...]:
    counted: dict[str, list[int]] = {}
    for trace_id in eligible:
        version = known.traces[trace_id].service_version
        row = counted.setdefault(version, [0, 0])
        row[0] += trace_id in hits
        row[1] += 1
    counted.pop("", None)
    return tuple(
        VersionCount(service_version=version, affected=affected, eligible=n)
        for version, (affected, n) in sorted(counted.items())[:_MAX_VERSIONS]
    )
