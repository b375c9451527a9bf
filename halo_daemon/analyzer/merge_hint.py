"""
Groups that are one mistake in slightly other words, put together within one report.

Tokens that the masks do not know, such as order codes, split a mistake into many
templates. Two templates of one rule, agent, subject and exception type are alike
when they have as many tokens and at least seven in ten of them are equal. This
never makes an id: the merged finding keeps the id of its largest part.
"""

from collections.abc import Collection

from halo_daemon.analyzer.fingerprint import FindingKey, finding_id
from halo_daemon.analyzer.partial import Group
from halo_daemon.analyzer.rules.error_kinds import error_kind

_ALIKE = 0.7
_MIN_TOKENS = 4


def merge_alike(
    groups: dict[FindingKey, Group], known_ids: Collection[str]
) -> dict[FindingKey, FindingKey]:
    """
    Map every key to the key of the finding that it belongs to; most to themselves.

    Keys with an id in *known_ids*, then those with most traces, then the least id
    stand for the others, so the answer does not depend on order.
    """
    families: dict[tuple[object, ...], list[FindingKey]] = {}
    for key in groups:
        tokens = key.template.split()
        kind = error_kind(key.error_type, key.template).name
        families.setdefault((*key[:4], kind, len(tokens)), []).append(key)
    heads: dict[FindingKey, FindingKey] = {}
    for keys in families.values():
        ranked = sorted(keys, key=lambda key: _standing(key, groups[key], known_ids))
        chosen: list[FindingKey] = []
        for key in ranked:
            head = next((other for other in chosen if _are_alike(key, other)), key)
            if head is key:
                chosen.append(key)
            heads[key] = head
    return heads


def _standing(key: FindingKey, group: Group, known_ids: Collection[str]) -> tuple[bool, int, str]:
    identity = finding_id(key)
    return identity not in known_ids, -len(group.hits), identity


def _are_alike(left: FindingKey, right: FindingKey) -> bool:
    ours, theirs = left.template.split(), right.template.split()
    if len(ours) < _MIN_TOKENS:
        return False
    equal = sum(a == b for a, b in zip(ours, theirs, strict=True))
    return equal / len(ours) >= _ALIKE


def merged(
    groups: dict[FindingKey, Group], heads: dict[FindingKey, FindingKey]
) -> dict[FindingKey, Group]:
    """The groups under the keys that stand for them, in order of key."""
    found: dict[FindingKey, Group] = {}
    for key in sorted(groups):
        group = groups[key]
        found.setdefault(heads[key], Group()).absorb(group)
    return found
