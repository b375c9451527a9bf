"""A project's own rules for findings: merge some under one name, leave some out for a time."""

from collections.abc import Mapping

from halo_daemon.analyzer.contract import Contract, GroupingWhen, Ignore
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.partial import Group
from halo_daemon.findings import Finding, Triage


def grouped(groups: Mapping[FindingKey, Group], contract: Contract) -> dict[FindingKey, Group]:
    """
    The groups under the names that the contract gives them; the first rule that fits wins.

    A named group keeps rule, agent and subject of what it holds where they are all the
    same, so that its denominator stays that of its parts.
    """
    found: dict[FindingKey, Group] = {}
    for key in sorted(groups):
        found.setdefault(named_key(key, contract), Group()).absorb(groups[key])
    return found


def named_key(key: FindingKey, contract: Contract) -> FindingKey:
    """The key under which the contract wants that one counted."""
    for grouping in contract.grouping:
        if _fits(key, grouping.when):
            return key._replace(error_type="", template=f"group {grouping.merge_as}")
    return key


def _fits(key: FindingKey, when: GroupingWhen) -> bool:
    return (
        when.rule in {"", key.rule}
        and when.agent in {"", key.agent}
        and when.tool in {"", key.subject}
        and when.template in key.template
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
