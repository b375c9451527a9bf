"""
Sums that an answer states, worked out again.

Two forms are read: an equation in one line, and a list of amounts of one currency with
a line for their total. Anything that may be meant in another way is left alone: shares,
rounded figures, quantities, discounts without a sign, lists with sums in between.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

_NUMBER = r"\d{1,3}(?:[.,]\d{3})+(?:[.,]\d{1,2})?|\d+(?:[.,]\d{1,4})?"
_CURRENCY = r"[$€£¥₹]|\b(?:USD|EUR|GBP|CHF|JPY|CAD|AUD)\b"
_TERM = rf"(?:{_CURRENCY})?\s?(?:{_NUMBER})(?:\s?(?:{_CURRENCY}))?"
_EQUATION = re.compile(
    rf"(?<![\w.,%^/(*+×-])({_TERM}(?:\s?[+]\s?{_TERM}|\s[-−–]\s{_TERM}){{1,20}})\s?=\s?"
    rf"({_TERM})(?![\w%/^]|[.,]\d|\s?[kKmM%×x*/+])"
)
_PART = re.compile(rf"([+−–-]?)\s?(?:{_CURRENCY})?\s?({_NUMBER})")
_AMOUNT = re.compile(
    rf"([-−(]?\s?)(?:({_CURRENCY})\s?({_NUMBER})|({_NUMBER})\s?({_CURRENCY}))(?![\d%])"
)
_ITEM = re.compile(r"\s*(?:[-*•+]|\d{1,2}[.)]|\|)\s*\S")
_TOTAL = re.compile(
    r"[\s|*_#>•-]*(?:grand |overall |new )?"
    r"(?:total|sum|gesamt(?:betrag|summe|preis)?|summe|somme|importe total|suma)\b",
    re.IGNORECASE,
)
_AMBIGUOUS = re.compile(
    r"sub-?total|zwischensumme|discount|rabatt|coupon|gutschein|remise|descuento|credit|refund"
    r"|voucher|was |before|each|\bper\b|\bà\b|/|\b\d+\s?[x×*]|[x×*]\s?\d|~|about|circa|ca\.|approx"
    r"|saved|saving|minus|less|balance|\bor\b|option",
    re.IGNORECASE,
)
_OPERATORS = frozenset("+-−–×*/^=(")
_MIN_ITEMS = 2
_MAX_LINES = 200
_CENT = Decimal("0.01")
_WHOLE = Decimal(100)


class WrongTotal(NamedTuple):
    """A stated sum and what its parts come to."""

    text: str
    """As it stands in the answer: the equation, or the line of the total."""
    stated: str
    """The number alone, where its source may know more than the list; ``""`` for an equation."""


def wrong_totals(answer: str) -> Iterator[WrongTotal]:
    """Sums in *answer* that its own figures do not add up to, in order of form and place."""
    if "=" in answer:
        yield from _wrong_equations(answer)
    lowered = answer.lower()
    if "total" in lowered or "sum" in lowered or "gesamt" in lowered or "somme" in lowered:
        yield from _wrong_lists(answer)


def _wrong_equations(answer: str) -> Iterator[WrongTotal]:
    for match in _EQUATION.finditer(answer):
        parts = [(sign, number_of(text)) for sign, text in _PART.findall(match[1])]
        stated = _PART.search(match[2])
        if stated is None:
            continue
        total = number_of(stated[2])
        summed = sum(
            ((-value if sign in {"-", "−", "–"} else value) for sign, value in parts), Decimal(0)
        )
        is_part = answer[: match.start()].rstrip()[-1:] in _OPERATORS
        if (
            not is_part
            and total != _WHOLE
            and _differs(summed, total, [value for _, value in parts])
        ):
            yield WrongTotal(match[0].strip(), "")


def _wrong_lists(answer: str) -> Iterator[WrongTotal]:
    amounts: list[Decimal] = []
    currency, is_clear = "", True
    for line in answer.splitlines()[:_MAX_LINES]:
        found = _AMOUNT.findall(line)
        if _TOTAL.match(line):
            if len(found) == 1 and is_clear and len(amounts) >= _MIN_ITEMS:
                value, mark, text = _amount(found[0])
                if mark == currency and _differs(sum(amounts, Decimal(0)), value, amounts):
                    yield WrongTotal(line.strip(), text)
            amounts, currency, is_clear = [], "", True
        elif _ITEM.match(line) and len(found) == 1 and not _AMBIGUOUS.search(line):
            value, mark, _ = _amount(found[0])
            is_clear = is_clear and mark in {currency, currency or mark}
            currency = currency or mark
            amounts.append(value)
        elif found:
            # A line with amounts that is no plain item: what the total is of is not known.
            is_clear = False
        elif line.strip() and not _ITEM.match(line) and not _is_rule(line):
            amounts, currency, is_clear = [], "", True


def _is_rule(line: str) -> bool:
    """A line that only draws: ``---`` or ``|---|---|``."""
    return not line.strip(" -=|:_")


def _amount(groups: tuple[str, ...]) -> tuple[Decimal, str, str]:
    sign, mark, number, number_first, mark_last = groups
    text = number or number_first
    value = number_of(text)
    return (-value if sign.strip() in {"-", "−", "("} else value), mark or mark_last, text


def _differs(summed: Decimal, stated: Decimal, parts: list[Decimal]) -> bool:
    """Whether no rounding of the parts to the cent explains the difference."""
    are_whole = all(value == value.to_integral_value() for value in (*parts, stated))
    allowed = Decimal(0) if are_whole else _CENT * len(parts)
    if any(_decimals(value) != _decimals(stated) for value in parts) and not are_whole:
        allowed = max(allowed, Decimal(1).scaleb(-min(map(_decimals, (*parts, stated)))))
    return abs(summed - stated) > allowed


def _decimals(value: Decimal) -> int:
    return max(0, -int(value.as_tuple().exponent))


def number_of(text: str) -> Decimal:
    """A number as people write it: ``1,234.50``, ``1.234,50``, ``1234.5``, ``1,234``."""
    last = max(text.rfind("."), text.rfind(","))
    if last < 0:
        return Decimal(text)
    mark, decimals = text[last], len(text) - last - 1
    is_mixed = ("," in text) and ("." in text)
    if not is_mixed and (text.count(mark) > 1 or decimals == 3):  # noqa: PLR2004 -- a group
        return Decimal(text.replace(mark, ""))
    whole = text[:last].replace(",", "").replace(".", "")
    return Decimal(f"{whole}.{text[last + 1 :]}")
