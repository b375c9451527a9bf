"""
A project's own rules for findings: merge some under one name, leave some out for a time.

Rule 1: a named finding is made of the rule's words alone, never of what fits them tonight.
So it is the same finding when a tool or an agent joins, and when one is left.

Rule 2: what a rule names by tool or agent it does not merge over; what it leaves open it
does. Findings of two detectors stay two, for they are counted over other traces.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from halo_daemon.analyzer.contract import Contract, Grouping, Ignore
from halo_daemon.analyzer.fingerprint import FindingKey, finding_id
from halo_daemon.analyzer.ledger import is_looked_for
from halo_daemon.analyzer.partial import Group
from halo_daemon.analyzer.subjects import Subject
from halo_daemon.findings import Finding, History, Triage

_PREFIX = "group "

Parts = dict[FindingKey, dict[Subject, Group]]
"""Of findings that many tools may share, what each tool or step shows."""


class Grouped(NamedTuple):
    """All groups under the names that the contract gives them."""

    groups: dict[FindingKey, Group]
    names: dict[FindingKey, FindingKey]
    """Every key by the one that it is counted under; most by themselves."""
    parts: Parts
    """Of each named finding, what its tools and steps show."""


class Covered(NamedTuple):
    """An open finding of earlier reports that a rule counts under a name by now."""

    finding_id: str
    name: str
    """Id of the finding that it is counted under."""
    subject: Subject


def grouped(groups: Mapping[FindingKey, Group], contract: Contract) -> Grouped:
    """Put *groups* under their names; the first rule of the contract that fits wins."""
    names = {key: named_key(key, contract) for key in groups}
    found: dict[FindingKey, Group] = {}
    parts: Parts = {}
    for key in sorted(groups):
        name = names[key]
        found.setdefault(name, Group()).absorb(groups[key])
        if name != key:
            tools = parts.setdefault(name, {})
            tools.setdefault(Subject(key.agent, key.subject), Group()).absorb(groups[key])
    return Grouped(found, names, parts)


def named_key(key: FindingKey, contract: Contract) -> FindingKey:
    """The key under which the contract wants that one counted."""
    for grouping in contract.grouping:
        if _fits(key, grouping):
            when = grouping.when
            return FindingKey(key.rule, when.agent, when.tool, "", _PREFIX + grouping.merge_as)
    return key


def name_of(key: FindingKey) -> str:
    """The name that the contract gives to a finding with the key of `named_key`."""
    return key.template.removeprefix(_PREFIX)


def covered(histories: Iterable[History], contract: Contract) -> list[Covered]:
    """
    What of earlier reports is counted under a name, whether or not tonight shows it.

    A rule may be younger than the findings that it merges, and they need not all be seen
    in its first night.
    """
    rows = []
    for history in histories if contract.grouping else ():
        if is_looked_for(history) and len(history.parts) == len(FindingKey._fields):
            key = FindingKey(*history.parts)
            name = named_key(key, contract)
            if name != key:
                subject = Subject(key.agent, key.subject)
                rows.append(Covered(history.finding_id, finding_id(name), subject))
    return rows


def with_covered(
    causes: Mapping[str, tuple[Subject, ...]], rows: Iterable[Covered]
) -> dict[str, tuple[Subject, ...]]:
    """What findings hit in earlier windows, by id: *causes*, and the tools of covered findings."""
    found = dict(causes)
    for row in rows:
        found[row.name] = (*found.get(row.name, ()), row.subject)
    return found


def _fits(key: FindingKey, grouping: Grouping) -> bool:
    when = grouping.when
    return (
        when.rule in {"", key.rule}
        and when.agent in {"", key.agent}
        and when.tool in {"", key.subject}
        and (when.template in key.template or key.template == _PREFIX + grouping.merge_as)
    )


def with_ignores(finding: Finding, contract: Contract, now: str) -> Finding:
    """*finding*, muted where the contract ignores it at *now*; a person's decision wins."""
    if finding.triage.state != "open":
        return finding
    for ignore in contract.ignore:
        if _is_ignored(finding, ignore, now):
            triage = Triage(
                state="muted", until=ignore.until, note=ignore.reason, by="contract.yaml"
            )
            return finding.model_copy(update={"triage": triage})
    return finding


def _is_ignored(finding: Finding, ignore: Ignore, now: str) -> bool:
    return finding.finding_id == ignore.finding and (ignore.until is None or ignore.until > now)
