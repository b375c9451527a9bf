"""
Groups that are one mistake in slightly other words, put together in one finding.

Tokens that the masks do not know, such as order codes, split a mistake into many
templates. Two templates of one rule, agent, subject and exception type are alike
when they have as many tokens and at least seven in ten of them are equal. This
never makes an id: the merged finding keeps the id that it had in earlier reports,
in whatever words they saw it, else that of its largest part.
"""

from collections.abc import Collection, Iterable

from halo_daemon.analyzer.fingerprint import FindingKey, finding_id
from halo_daemon.analyzer.partial import Group
from halo_daemon.analyzer.rules.error_kinds import error_kind

_ALIKE = 0.7
_MIN_TOKENS = 4
_DIFFERS = "…"


def merge_alike(
    groups: dict[FindingKey, Group],
    known_ids: Collection[str],
    earlier: Collection[FindingKey] = (),
) -> dict[FindingKey, FindingKey]:
    """
    Map every key to the key of the finding that it belongs to; most to themselves.

    Keys with an id in *known_ids*, then others of *earlier* reports, then those with most
    traces, then the least id stand for the others, so the answer does not depend on order.
    One of *earlier* stands for what is alike also where it is not among *groups*: what
    differs may be other words every night.
    """
    families: dict[tuple[object, ...], set[FindingKey]] = {}
    for key in groups:
        families.setdefault(_family(key), set()).add(key)
    owners = {key[:4] for key in groups}
    for key in earlier:
        if key[:4] in owners and (family := families.get(_family(key))) is not None:
            family.add(key)

    def standing(key: FindingKey) -> tuple[bool, bool, int, str]:
        identity = finding_id(key)
        hits = len(groups[key].hits) if key in groups else 0
        return identity not in known_ids, key not in earlier, -hits, identity

    heads: dict[FindingKey, FindingKey] = {}
    for keys in families.values():
        chosen: list[FindingKey] = []
        for key in sorted(keys, key=standing):
            head = next((other for other in chosen if _are_alike(key, other)), key)
            if head is key:
                chosen.append(key)
            if key in groups:
                heads[key] = head
    return heads


def _family(key: FindingKey) -> tuple[object, ...]:
    """What keys have in common that may be alike."""
    kind = error_kind(key.error_type, key.template).name
    return (*key[:4], kind, len(key.template.split()))


def in_common(key: FindingKey, others: Iterable[FindingKey]) -> FindingKey:
    """
    *key* with a dot-dot-dot for each word that differs in the templates of *others*.

    *key* as it is where one of them is not alike, or where what is left no longer says
    which kind of error it is.
    """
    words = key.template.split()
    for other in others:
        if _family(other) != _family(key) or not (other == key or _are_alike(other, key)):
            return key
        pairs = zip(words, other.template.split(), strict=True)
        words = [ours if ours == theirs else _DIFFERS for ours, theirs in pairs]
    if _DIFFERS not in words:
        return key
    shown = key._replace(template=" ".join(words))
    return shown if _family(shown) == _family(key) else key


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
