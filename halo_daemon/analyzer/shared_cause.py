"""
One failing backend is one finding, however many tools call it.

Rule 1: same words are no evidence. Errors are put together only where they come from
outside (`infra_error`) and name the same thing: a host, a service, a key (`error_place`).
And they must have failed alike: in one of the ways that all clients word in their own
(`outage`), else by one class, in the same words but for the tool's own name.

Rule 2: the finding of a cause is made of what failed and how, never of the tools that
noticed. So it is the same finding when a further tool joins, and when only one is left:
a cause that was known once needs no second tool.

Rule 3: what a project's own rules have named is left as it is.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from halo_daemon.analyzer.error_place import name_in
from halo_daemon.analyzer.fingerprint import FindingKey, finding_id
from halo_daemon.analyzer.grouping import Parts
from halo_daemon.analyzer.merge_hint import merge_alike, merged
from halo_daemon.analyzer.outage import FailedAt, backend_of
from halo_daemon.analyzer.partial import Group, Partial
from halo_daemon.analyzer.populations import populations_of
from halo_daemon.analyzer.rules.errors import INFRA_ERROR
from halo_daemon.analyzer.subjects import Subject
from halo_daemon.findings import History, SubjectCount

MAX_SUBJECTS = 100
"""Tools and steps that a finding names; those that it hit most."""

_MIN_NAME_CHARS = 3
_MOSTLY = 0.9
"""Share of a group's traces that must name a place for it to be the group's."""
_PATH = re.compile(r"(?<!\S)/\S*")


class SharedCauses(NamedTuple):
    """Which groups are one, and what they are made of."""

    groups: dict[FindingKey, Group]
    """All groups, under the keys that stand for them."""
    heads: dict[FindingKey, FindingKey]
    """Every key by the one that stands for it; most by themselves."""
    parts: Parts
    """Of each cause and of what people named, what its tools and steps show; nothing for those
    that were hit only earlier."""

    def eligible(self, known: Partial, key: FindingKey) -> set[str]:
        """The traces that could have shown the finding of *key*: those of any of its tools."""
        populations = populations_of(key, self.parts.get(key, ()))
        traces = (known.eligible.get(population, set()) for population in populations)
        return set(self.groups[key].hits).union(*traces)

    def subject_counts(self, known: Partial, key: FindingKey) -> tuple[SubjectCount, ...]:
        """What each tool of a cause shows in this window; empty for what has a tool of its own."""
        strong = {trace_id for trace_id, hit in self.groups[key].hits.items() if not hit.is_weak}
        rows = []
        for subject, group in self.parts.get(key, {}).items():
            affected = {t for t, hit in group.hits.items() if not (strong and hit.is_weak)}
            (population,) = populations_of(key, [subject])
            eligible = len(known.eligible.get(population, set()) | affected)
            if eligible:
                rows.append(
                    SubjectCount(
                        agent=subject.agent,
                        name=subject.name,
                        affected=len(affected),
                        eligible=eligible,
                    )
                )
        rows.sort(key=lambda row: (-row.affected, -row.eligible, row.agent, row.name))
        return tuple(rows[:MAX_SUBJECTS])


def causes_known(histories: Mapping[str, History]) -> dict[str, tuple[Subject, ...]]:
    """The findings of earlier reports that many tools may share, by id, and what they hit."""
    return {
        identity: tuple(Subject(*row) for row in history.subjects)
        for identity, history in histories.items()
        if history.subjects and not history.superseded_by
    }


def with_shared_causes(
    groups: dict[FindingKey, Group],
    known_ids: Collection[str],
    causes: Mapping[str, Iterable[Subject]],
    *,
    named: Parts,
    earlier: Collection[FindingKey] = (),
) -> SharedCauses:
    """
    Put together what fails for one cause; the same for any order of the groups.

    *known_ids* are those of findings that are open; *causes* holds by id what the causes
    that any earlier report found have hit; *named* is what the project's own rules put
    together, *earlier* the keys of the findings of earlier reports.
    """
    joining = {
        key: cause
        for key, group in groups.items()
        if key not in named and (cause := _cause_of(key, group))
    }
    by_cause: dict[FindingKey, Group] = {}
    for key in sorted(joining):
        by_cause.setdefault(joining[key], Group()).absorb(groups[key])
    before = {key for key in earlier if finding_id(key) in causes}
    alike = merge_alike(by_cause, {*known_ids, *causes}, before)
    parts: Parts = {}
    for key in sorted(joining):
        tools = parts.setdefault(alike[joining[key]], {})
        tools.setdefault(Subject(key.agent, key.subject), Group()).absorb(groups[key])
    parts = {
        cause: tools
        for cause, tools in parts.items()
        if len(tools) > 1 or finding_id(cause) in causes
    }
    apart = {subject for tools in named.values() for subject in tools}
    heads = {key: key for key in groups}
    heads |= {key: alike[c] for key, c in joining.items() if alike[c] in parts}
    together = {cause: _with_earlier(tools, causes, cause, apart) for cause, tools in parts.items()}
    together |= {name: _with_earlier(tools, causes, name, set()) for name, tools in named.items()}
    return SharedCauses(merged(groups, heads), heads, together)


def _with_earlier(
    tools: Mapping[Subject, Group],
    causes: Mapping[str, Iterable[Subject]],
    key: FindingKey,
    apart: set[Subject],
) -> dict[Subject, Group]:
    """*tools* and those that the finding of *key* hit in earlier windows, but for *apart*."""
    earlier = {*causes.get(finding_id(key), ())} - apart
    return {**{subject: Group() for subject in earlier}, **tools}


def _cause_of(key: FindingKey, group: Group) -> FindingKey | None:
    """The key of what *group* failed at; None where nothing in particular is named."""
    if key.rule != INFRA_ERROR:
        return None
    template = _without_own_words(key)
    at = FailedAt(*(_mostly(group, of) for of in FailedAt._fields))
    if at.place and at.way:
        return FindingKey(key.rule, "", backend_of(at), "", at.way)
    place = at.place or name_in(template)
    return FindingKey(key.rule, "", place, key.error_type, template) if place else None


def _mostly(group: Group, field: str) -> str:
    """What nearly all of the group's traces tell of where they failed; ``""`` for nothing."""
    told = Counter(getattr(hit.failed_at, field) for hit in group.hits.values())
    value, traces = min(told.items(), key=lambda row: (-row[1], row[0]))
    return value if traces >= _MOSTLY * len(group.hits) else ""


def _without_own_words(key: FindingKey) -> str:
    """The template without what differs from tool to tool: its name, the path that it asks for."""
    template = _PATH.sub("<path>", key.template)
    if len(key.subject) < _MIN_NAME_CHARS:
        return template
    return re.sub(rf"(?<!\w){re.escape(key.subject)}(?!\w)", "<tool>", template)
