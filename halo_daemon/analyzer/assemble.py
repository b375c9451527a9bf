"""From merged observations to findings: counts, intervals, severity, evidence, order."""

import math
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from halo_daemon.analyzer.contrast import Contrasts
from halo_daemon.analyzer.contrast_findings import contrast_finding
from halo_daemon.analyzer.evidence import evidence_of
from halo_daemon.analyzer.fingerprint import ALGORITHM, FindingKey, finding_id
from halo_daemon.analyzer.grouping import Covered, grouped, name_of, with_covered
from halo_daemon.analyzer.merge_hint import in_common, merge_alike, merged
from halo_daemon.analyzer.outlier_findings import outlier_findings
from halo_daemon.analyzer.partial import CERTAINTIES, Group, Hit, Partial
from halo_daemon.analyzer.ranking import Weighed, score_of, severity_of
from halo_daemon.analyzer.rules.injection import INJECTION_TEXT
from halo_daemon.analyzer.rules.obeyed import OBEYED
from halo_daemon.analyzer.rules.registry import RULE_IDS
from halo_daemon.analyzer.rules.security import PASSED_ON, SECRET_IN_SPAN
from halo_daemon.analyzer.rules.side_effects import DOUBLE_SIDE_EFFECT
from halo_daemon.analyzer.safe_text import in_ticks
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.shared_cause import with_shared_causes
from halo_daemon.analyzer.stats import Interval, design_effect, wilson_rate
from halo_daemon.analyzer.subjects import Subject
from halo_daemon.analyzer.tests_of_report import outcomes_of, tested
from halo_daemon.analyzer.waste import Waste, cost_of, share_of, waste_of, window_cost
from halo_daemon.analyzer.wording import Wording, wording_of
from halo_daemon.findings import (
    Association,
    Certainty,
    Counts,
    DayCount,
    Finding,
    Fingerprint,
    RateChange,
    Recommendation,
    ReleaseDiff,
    RootCause,
    SubjectCount,
    Trend,
    VersionCount,
)
from halo_daemon.proto.times import format_unix_ns

_CONFIDENCE: dict[Certainty, float] = {"proved": 0.97, "event": 0.9, "candidate": 0.6}
_DIGITS = 6
_MAX_VERSIONS = 20


class Assembled(NamedTuple):
    """The findings of a report, in order, and the keys that they stand for."""

    findings: list[Finding]
    weak_signals: list[Finding]
    ids: dict[FindingKey, str]
    """Every key that was observed, also those that did not make it into the report."""
    groups: dict[str, Group]
    """Everything observed of a finding, by its id."""
    named: dict[str, Collection[str]]
    """Traces of the findings that no trace shows alone, by id."""
    release_diff: tuple[ReleaseDiff, ...]
    tests: int
    discoveries: int
    left_out: int
    """Findings beyond the limit of the report."""


class _Scored(NamedTuple):
    score: float
    finding: Finding
    is_supported: bool
    """Seen in at least one trace with enough to count."""
    is_strong: bool
    """Seen often enough to be claimed."""


def assemble(
    known: Partial,
    settings: MinerSettings,
    known_ids: Collection[str] = frozenset(),
    *,
    past: Mapping[str, tuple[DayCount, ...]] | None = None,
    causes: Mapping[str, tuple[Subject, ...]] | None = None,
    covered: Iterable[Covered] = (),
    earlier: Collection[FindingKey] = frozenset(),
) -> Assembled:
    """
    Count, weigh and order everything observed; the same for any order of arrival.

    Findings in *known_ids* are open from earlier reports: they need no minimum
    support. They, and then others of *earlier* reports, stand for what is alike. *past*
    holds daily counts of earlier windows by finding id, to tell when a rate changed;
    *causes* what earlier reports found to be hit by one cause, by the id of that finding,
    whatever became of it; *covered* what of earlier reports the project's rules name by now.
    """
    window = window_cost(known.traces.values())
    named = grouped(known.groups, settings.contract)
    own = {key: group for key, group in named.groups.items() if key not in named.parts}
    # A name is taken as it is: two that people chose are never one for being alike.
    alike = {name: name for name in named.parts} | merge_alike(own, known_ids, earlier)
    hit = with_covered(causes or {}, covered)
    shared = with_shared_causes(
        merged(named.groups, alike), known_ids, hit, named=named.parts, earlier=earlier
    )
    groups = shared.groups
    heads = {key: shared.heads[alike[name]] for key, name in named.names.items()}
    denominators = {key: shared.eligible(known, key) for key in groups}
    contrasts, releases, changes = tested(
        known, groups, denominators, settings=settings, past=past or {}
    )
    scored = [
        _finding(
            known,
            key,
            group=group,
            eligible=denominators[key],
            subjects=shared.subject_counts(known, key),
            window=window,
            association=contrasts.findings.get(finding_id(key)),
            settings=settings,
            name=name_of(key) if key in named.parts else "",
        )
        for key, group in groups.items()
    ]
    scored = [_with_change(row, changes.get(row.finding.finding_id)) for row in scored]
    scored += _contrast_rows(known, contrasts, settings)
    outliers = outlier_findings(known, settings)
    scored += [_row_of(row.finding) for row in outliers]
    scored.sort(key=lambda row: (-row.score, row.finding.finding_id))
    by_id = {finding_id(key): group for key, group in groups.items()}
    scored = _charged(known, scored, by_id)
    scored = _with_other_words(scored, heads, set(named.parts))
    scored = _with_other_ids(scored, heads, settings.earlier_algorithms, covered)
    strong = [row for row in scored if row.is_strong or _stays(row, known_ids)]
    weak = [row for row in scored if not (row.is_strong or _stays(row, known_ids))]
    limit = settings.max_findings
    return Assembled(
        findings=[row.finding for row in strong[:limit]],
        weak_signals=[row.finding for row in weak[:limit]],
        ids={key: finding_id(head) for key, head in heads.items()},
        groups=by_id,
        named={row.finding.finding_id: row.traces for row in outliers},
        release_diff=releases,
        tests=contrasts.tests,
        discoveries=contrasts.discoveries,
        left_out=max(0, len(strong) - limit) + max(0, len(weak) - limit),
    )


def _charged(known: Partial, ranked: list["_Scored"], groups: dict[str, Group]) -> list["_Scored"]:
    """The same rows, each step charged to the finding of the highest rank alone."""
    spent: dict[str, set[int]] = {}
    rows = []
    for row in ranked:
        group = groups.get(row.finding.finding_id)
        if group is None:
            rows.append(row)
            continue
        waste = waste_of(known, counted_hits(group), spent)
        finding = row.finding.model_copy(update={"cost": cost_of(waste)})
        rows.append(row._replace(finding=finding))
    return rows


def _with_change(row: "_Scored", change: RateChange | None) -> "_Scored":
    if change is None:
        return row
    return row._replace(finding=row.finding.model_copy(update={"trend": Trend(change=change)}))


def counted_hits(group: Group) -> dict[str, Hit]:
    """Traces that show the finding well enough to count; all of them where none does."""
    strong = {trace_id: hit for trace_id, hit in group.hits.items() if not hit.is_weak}
    return strong or group.hits


def _contrast_rows(
    known: Partial, contrasts: Contrasts, settings: MinerSettings
) -> list["_Scored"]:
    return [
        _row_of(contrast_finding(known, found, outcomes_of(known), settings))
        for found in contrasts.features
    ]


def _row_of(finding: Finding) -> "_Scored":
    """A finding that was made over all traces at once, and counts as it is."""
    score = score_of(finding.severity, finding.certainty, finding.counts.ci95[0], 0.0)
    return _Scored(score, finding, is_supported=True, is_strong=True)


def _stays(row: "_Scored", known_ids: Collection[str]) -> bool:
    finding = row.finding
    ids = (finding.finding_id, *finding.supersedes, *finding.merged_from)
    return row.is_supported and any(identity in known_ids for identity in ids)


def _with_other_words(
    rows: list["_Scored"], heads: dict[FindingKey, FindingKey], named: Collection[FindingKey]
) -> list["_Scored"]:
    """The same rows; a title says of words that differ from trace to trace only that they do."""
    members: dict[FindingKey, list[FindingKey]] = {}
    for key, head in heads.items():
        if key != head and head not in named:
            members.setdefault(head, []).append(key)

    def titled(scored: _Scored) -> _Scored:
        key = FindingKey(*scored.finding.fingerprint.parts)
        shown = in_common(key, members.get(key, ()))
        if shown == key:
            return scored
        title = wording_of(shown).title
        return scored._replace(finding=scored.finding.model_copy(update={"title": title}))

    return [titled(scored) for scored in rows]


def _with_other_ids(
    rows: list["_Scored"],
    heads: dict[FindingKey, FindingKey],
    algorithms: tuple[str, ...],
    covered: Iterable[Covered],
) -> list["_Scored"]:
    """
    The same rows with the ids of their parts, and with those that they went under before.

    These are what *algorithms* give, and what a name covers of earlier reports.
    """
    parts: dict[str, set[str]] = {}
    before: dict[str, set[str]] = {}
    for row in covered:
        before.setdefault(row.name, set()).add(row.finding_id)
    keys: dict[str, set[FindingKey]] = {}
    for key, head in heads.items():
        keys.setdefault(finding_id(head), set()).add(key)
        if key != head:
            parts.setdefault(finding_id(head), set()).add(finding_id(key))
    found = []
    for scored in rows:
        identity = scored.finding.finding_id
        own = keys.get(identity, set()) | {FindingKey(*scored.finding.fingerprint.parts)}
        update = {
            "merged_from": tuple(sorted(parts.get(identity, ()))),
            "supersedes": tuple(
                sorted(
                    before.get(identity, set())
                    | {finding_id(key, old) for key in own for old in algorithms}
                )
            ),
        }
        found.append(scored._replace(finding=scored.finding.model_copy(update=update)))
    return found


def _finding(
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
) -> _Scored:
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
    update: dict[str, object] = {
        "association": association,
        "by_version": _by_version(known, hits, eligible),
        "by_subject": subjects,
        "evidence": evidence_of(known, users, group, settings.max_evidence),
    }
    if name:
        update["title"] = (
            f"{in_ticks(name)}, put together by a rule of the project ({in_ticks(key.rule)})"
        )
    elif subjects:
        update["root_cause"] = RootCause(state="hypothesis", text=_cause_of(subjects))
    finding = record.model_copy(update=update)
    enough = counts.affected_traces >= settings.min_support_traces
    return _Scored(
        score=score_of(weighed.severity, certainty, counts.ci95[0], share),
        finding=finding,
        is_supported=strong,
        is_strong=strong and (enough or weighed.severity == "critical"),
    )


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
