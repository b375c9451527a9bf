"""From merged observations to the findings of a report, in order, under their names and ids."""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from halo_daemon.analyzer.contrast import Contrasts
from halo_daemon.analyzer.contrast_findings import contrast_finding
from halo_daemon.analyzer.fingerprint import FindingKey, finding_id
from halo_daemon.analyzer.group_findings import counted_hits, group_finding
from halo_daemon.analyzer.grouping import Covered, grouped, name_of, with_covered
from halo_daemon.analyzer.merge_hint import in_common, merge_alike, merged
from halo_daemon.analyzer.outlier_findings import outlier_findings
from halo_daemon.analyzer.partial import Group, Partial
from halo_daemon.analyzer.ranking import Scored, scored_as_is
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.shared_cause import with_shared_causes
from halo_daemon.analyzer.subjects import Subject
from halo_daemon.analyzer.tests_of_report import outcomes_of, tested
from halo_daemon.analyzer.waste import cost_of, waste_of, window_cost
from halo_daemon.analyzer.wording import wording_of
from halo_daemon.findings import (
    DayCount,
    Finding,
    RateChange,
    ReleaseDiff,
    Trend,
)


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


class Earlier(NamedTuple):
    """What earlier reports of the project leave to go on from; nothing by default."""

    open_ids: frozenset[str] = frozenset()
    """Of findings that are open: these need no minimum support, and stand first for what is
    alike."""
    keys: frozenset[FindingKey] = frozenset()
    """Of findings whatever became of them: these stand next for what is alike."""
    days: Mapping[str, tuple[DayCount, ...]] = MappingProxyType({})
    """Daily counts of earlier windows by finding id, to tell when a rate changed."""
    causes: Mapping[str, tuple[Subject, ...]] = MappingProxyType({})
    """What one cause has hit, by the id of its finding, whatever became of it."""
    covered: tuple[Covered, ...] = ()
    """What the project's rules name by now."""


NOTHING_EARLIER = Earlier()


def assemble(
    known: Partial, settings: MinerSettings, earlier: Earlier = NOTHING_EARLIER
) -> Assembled:
    """Count, weigh and order everything observed; the same for any order of arrival."""
    window = window_cost(known.traces.values())
    named = grouped(known.groups, settings.contract)
    own = {key: group for key, group in named.groups.items() if key not in named.parts}
    # A name is taken as it is: two that people chose are never one for being alike.
    alike = {name: name for name in named.parts} | merge_alike(own, earlier.open_ids, earlier.keys)
    shared = with_shared_causes(
        merged(named.groups, alike),
        earlier.open_ids,
        with_covered(earlier.causes, earlier.covered),
        named=named.parts,
        earlier=earlier.keys,
    )
    groups = shared.groups
    heads = {key: shared.heads[alike[name]] for key, name in named.names.items()}
    denominators = {key: shared.eligible(known, key) for key in groups}
    contrasts, releases, changes = tested(
        known, groups, denominators, settings=settings, past=earlier.days
    )
    scored = [
        group_finding(
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
    scored += [scored_as_is(row.finding) for row in outliers]
    scored.sort(key=lambda row: (-row.score, row.finding.finding_id))
    by_id = {finding_id(key): group for key, group in groups.items()}
    scored = _charged(known, scored, by_id)
    scored = _with_other_words(scored, heads, set(named.parts))
    scored = _with_other_ids(scored, heads, settings.earlier_algorithms, earlier.covered)
    strong = [row for row in scored if row.is_strong or _stays(row, earlier.open_ids)]
    weak = [row for row in scored if not (row.is_strong or _stays(row, earlier.open_ids))]
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


def _charged(known: Partial, ranked: list[Scored], groups: dict[str, Group]) -> list[Scored]:
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


def _with_change(row: Scored, change: RateChange | None) -> Scored:
    if change is None:
        return row
    return row._replace(finding=row.finding.model_copy(update={"trend": Trend(change=change)}))


def _contrast_rows(known: Partial, contrasts: Contrasts, settings: MinerSettings) -> list[Scored]:
    return [
        scored_as_is(contrast_finding(known, found, outcomes_of(known), settings))
        for found in contrasts.features
    ]


def _stays(row: Scored, known_ids: Collection[str]) -> bool:
    finding = row.finding
    ids = (finding.finding_id, *finding.supersedes, *finding.merged_from)
    return row.is_supported and any(identity in known_ids for identity in ids)


def _with_other_words(
    rows: list[Scored], heads: dict[FindingKey, FindingKey], named: Collection[FindingKey]
) -> list[Scored]:
    """The same rows; a title says of words that differ from trace to trace only that they do."""
    members: dict[FindingKey, list[FindingKey]] = {}
    for key, head in heads.items():
        if key != head and head not in named:
            members.setdefault(head, []).append(key)

    def titled(scored: Scored) -> Scored:
        key = FindingKey(*scored.finding.fingerprint.parts)
        shown = in_common(key, members.get(key, ()))
        if shown == key:
            return scored
        title = wording_of(shown).title
        return scored._replace(finding=scored.finding.model_copy(update={"title": title}))

    return [titled(scored) for scored in rows]


def _with_other_ids(
    rows: list[Scored],
    heads: dict[FindingKey, FindingKey],
    algorithms: tuple[str, ...],
    covered: Iterable[Covered],
) -> list[Scored]:
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
