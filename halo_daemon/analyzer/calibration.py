"""
Risk learnt from a project's own outcomes, where that foretells better than nothing.

Theory of operation
===================

For earlier traces it is known whether they failed, what their risk was without that
knowledge, and which rules found something. A logistic model with a ridge takes the
log-odds of that risk and one weight a rule. Whether it may be used is decided on
outcomes that the fit did not know: five folds, split by task so that equal questions
never stand on both sides.

Rule 1: a trace's own outcome never enters its risk; traces of the window are left out.

Rule 2: without a gain that its own 95 % interval tells from zero, or with an order worse
than before, nothing changes. Labels that are noise therefore change nothing.

Rule 3: nothing depends on the order of outcomes; equal rows are counted, patterns sorted.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from halo_daemon.analyzer.stats import Z95
from halo_daemon.findings import KnownOutcome, RiskCalibration, SignalWeight

MIN_OUTCOMES = 60
MIN_OF_EACH = 15
"""Failed outcomes, and others, below which nothing is learnt."""

MAX_OUTCOMES = 5_000
"""The newest outcomes that a project keeps."""

UNTAUGHT = frozenset({"status", "none"})
"""Sources not learnt from: the rules read the root's status themselves, and OK is a default of
many frameworks."""

RISK = "risk"

_FOLDS = 5
_MIN_UNITS = 10
_RIDGE = 2.0
_MIN_RULE_OUTCOMES = 5
_SWEEPS = 60
_LARGEST_STEP = 1.0
_SETTLED = 1e-6
_STEPS_PER_LOG_ODDS = 4
_MOST_LOG_ODDS = 6.0
_DIGITS = 4
_TOP_SHARE = 10


class _Pattern(NamedTuple):
    """Outcomes that look alike to the model."""

    log_odds: float
    rules: tuple[str, ...]


class Calibration(NamedTuple):
    """Log-odds of failing, by signal."""

    intercept: float
    slope: float
    weights: Mapping[str, float]

    def risk_of(self, risk: float, rules: Iterable[str]) -> float:
        """Probability of failing of a trace with that uncalibrated risk and those rules."""
        found = math.fsum(self.weights.get(rule, 0.0) for rule in sorted(set(rules)))
        return _share(self.intercept + self.slope * _log_odds(risk) + found)


class Learnt(NamedTuple):
    """A calibration, None when there is none to use, and what the report says of it."""

    calibration: Calibration | None
    stated: RiskCalibration


def learn(history: Iterable[KnownOutcome], window: Collection[str]) -> Learnt:
    """
    Learn from *history*, without the traces in *window*.

    The same for any order of *history*; an outcome that is there twice counts once.
    """
    rows = sorted(
        {
            row.trace_id: row
            for row in sorted(history, key=lambda row: (row.at, row.trace_id))
            if row.trace_id not in window and row.source not in UNTAUGHT
        }.values(),
        key=lambda row: row.trace_id,
    )
    failed = sum(row.failed for row in rows)
    stated = RiskCalibration(
        outcomes=len(rows),
        failed=failed,
        source="+".join(sorted({row.source for row in rows})) or "none",
    )
    if len(rows) < MIN_OUTCOMES or min(failed, len(rows) - failed) < MIN_OF_EACH:
        return Learnt(None, stated)
    judged = [_judge(rows, with_rules=with_rules) for with_rules in (False, True)]
    useful = [each for each in judged if each.gain_low > 0 and each.auc >= each.auc_before]
    best = max(useful or judged, key=lambda each: each.gain)
    stated = stated.model_copy(
        update={
            "auc_before": round(best.auc_before, _DIGITS),
            "auc_after": round(best.auc, _DIGITS),
        }
    )
    if not useful:
        return Learnt(None, stated.model_copy(update={"state": "no_gain"}))
    model = fit(rows, with_rules=best.with_rules)
    return Learnt(model, stated.model_copy(update={"state": "calibrated", "weights": _said(model)}))


def _said(model: Calibration) -> tuple[SignalWeight, ...]:
    weights = sorted(
        ((RISK, model.slope), *model.weights.items()), key=lambda each: (-abs(each[1]), each[0])
    )
    return tuple(
        SignalWeight(signal=name, log_odds=round(weight, _DIGITS)) for name, weight in weights
    )


class _Judged(NamedTuple):
    with_rules: bool
    gain: float
    """Mean log-likelihood of an unseen outcome above that of the base rate."""
    gain_low: float
    """Lower bound of its 95 % interval, tasks taken as the unit."""
    auc: float
    auc_before: float
    """Of the uncalibrated risk; both compare outcomes of one fold, which one fit foretold."""


def _judge(rows: Sequence[KnownOutcome], *, with_rules: bool) -> _Judged:
    gains: dict[str, float] = {}
    pairs, ordered, ordered_before = 0, 0.0, 0.0
    for fold in range(_FOLDS):
        known = [row for row in rows if _fold(row) != fold]
        unknown = [row for row in rows if _fold(row) == fold]
        model = fit(known, with_rules=with_rules)
        base = (sum(row.failed for row in known) + 1) / (len(known) + 2)
        risks = [model.risk_of(row.risk, row.rules) for row in unknown]
        for row, risk in zip(unknown, risks, strict=True):
            gain = _log_likelihood(risk, failed=row.failed)
            gain -= _log_likelihood(base, failed=row.failed)
            gains[_unit(row)] = gains.get(_unit(row), 0.0) + gain
        failed = [row.failed for row in unknown]
        comparable = sum(failed) * (len(failed) - sum(failed))
        pairs += comparable
        ordered += comparable * auc(risks, failed)
        ordered_before += comparable * auc([row.risk for row in unknown], failed)
    low, mean = _interval_low(list(gains.values()))
    return _Judged(
        with_rules,
        gain=mean * len(gains) / len(rows),
        gain_low=low,
        auc=ordered / pairs if pairs else 0.5,
        auc_before=ordered_before / pairs if pairs else 0.5,
    )


def _interval_low(gains: Sequence[float]) -> tuple[float, float]:
    """Lower bound of the mean and the mean; no bound above zero from fewer than ten tasks."""
    mean = math.fsum(gains) / len(gains)
    if len(gains) < _MIN_UNITS:
        return -math.inf, mean
    spread = math.fsum((gain - mean) ** 2 for gain in gains) / (len(gains) - 1)
    return mean - Z95 * math.sqrt(spread / len(gains)), mean


def _unit(row: KnownOutcome) -> str:
    return row.task or row.trace_id


def _fold(row: KnownOutcome) -> int:
    return hashlib.sha256(_unit(row).encode()).digest()[0] % _FOLDS


def _log_likelihood(risk: float, *, failed: bool) -> float:
    return math.log(max(1e-9, risk if failed else 1 - risk))


def fit(rows: Iterable[KnownOutcome], *, with_rules: bool) -> Calibration:
    """Fit the model by Newton steps, one weight at a time; without rows it says one half."""
    counted: dict[_Pattern, list[int]] = {}
    for row in rows:
        cell = counted.setdefault(
            _Pattern(_nearly(_log_odds(row.risk)), row.rules if with_rules else ()), [0, 0]
        )
        cell[0] += 1
        cell[1] += row.failed
    patterns = sorted(counted)
    solver = _Solver(patterns, [counted[pattern] for pattern in patterns])
    return solver.solved()


class _Solver:
    """Minimises the penalised loss of a logistic model over counted patterns."""

    def __init__(self, patterns: Sequence[_Pattern], counts: Sequence[Sequence[int]]) -> None:
        self._counts = counts
        self._log_odds = [0.0] * len(patterns)
        everywhere = [(at, 1.0) for at in range(len(patterns))]
        self._columns: dict[str, list[tuple[int, float]]] = {
            "": everywhere,
            RISK: [(at, pattern.log_odds) for at, pattern in enumerate(patterns)],
        }
        total = sum(n for n, _ in counts)
        holding: Counter[str] = Counter()
        for pattern, (n, _) in zip(patterns, counts, strict=True):
            for rule in set(pattern.rules):
                holding[rule] += n
        for rule in sorted(holding):
            if _MIN_RULE_OUTCOMES <= holding[rule] <= total - _MIN_RULE_OUTCOMES:
                self._columns[f"rule:{rule}"] = [
                    (at, 1.0) for at, pattern in enumerate(patterns) if rule in pattern.rules
                ]

    def solved(self) -> Calibration:
        weights = dict.fromkeys(self._columns, 0.0)
        for _ in range(_SWEEPS):
            moved = 0.0
            for name, column in self._columns.items():
                # The base rate is whatever it is; all else has to earn its place.
                ridge = _RIDGE if name else 0.0
                step = self._step(column, weights[name], ridge)
                weights[name] += step
                moved = max(moved, abs(step))
            if moved < _SETTLED:
                break
        intercept, slope = weights.pop(""), weights.pop(RISK)
        rules = {name.removeprefix("rule:"): weight for name, weight in weights.items()}
        return Calibration(intercept, slope, rules)

    def _step(self, column: Sequence[tuple[int, float]], weight: float, ridge: float) -> float:
        slope, bend = ridge * weight, ridge
        for at, value in column:
            n, failed = self._counts[at]
            risk = _share(self._log_odds[at])
            slope += (n * risk - failed) * value
            bend += n * risk * (1 - risk) * value * value
        if bend <= 0:
            return 0.0
        step = max(-_LARGEST_STEP, min(_LARGEST_STEP, -slope / bend))
        for at, value in column:
            self._log_odds[at] += step * value
        return step


def _share(log_odds: float) -> float:
    bounded = max(-30.0, min(30.0, log_odds))
    return 1 / (1 + math.exp(-bounded))


def _log_odds(risk: float) -> float:
    inside = min(max(risk, 1e-6), 1 - 1e-6)
    log_odds = math.log(inside / (1 - inside))
    return max(-_MOST_LOG_ODDS, min(_MOST_LOG_ODDS, log_odds))


def _nearly(log_odds: float) -> float:
    """In quarters, so that outcomes with nearly the same risk are counted together."""
    return round(log_odds * _STEPS_PER_LOG_ODDS) / _STEPS_PER_LOG_ODDS


def auc(risks: Sequence[float], failed: Sequence[bool]) -> float:
    """Chance that a failed one has the higher risk, ties half; 0.5 when all went one way."""
    positives = sum(failed)
    negatives = len(failed) - positives
    if not positives or not negatives:
        return 0.5
    order = sorted(range(len(risks)), key=lambda at: risks[at])
    rank_sum, at = 0.0, 0
    while at < len(order):
        end = at
        while end + 1 < len(order) and risks[order[end + 1]] == risks[order[at]]:
            end += 1
        rank_sum += ((at + end) / 2 + 1) * sum(failed[order[place]] for place in range(at, end + 1))
        at = end + 1
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def moved_up(before: Mapping[str, float], after: Mapping[str, float]) -> int:
    """How many traces are among the riskiest tenth of *after* and not of *before*."""
    size = len(before) // _TOP_SHARE

    def top(risks: Mapping[str, float]) -> set[str]:
        return set(sorted(risks, key=lambda trace_id: (-risks[trace_id], trace_id))[:size])

    return len(top(after) - top(before))


def sentence(stated: RiskCalibration) -> str:
    """What the report says of the risk of traces, for people."""
    if not stated.outcomes:
        return (
            "Risk orders traces and is no probability: of no earlier trace of this project is it"
            " known whether it failed."
        )
    known = f"{stated.outcomes:,} earlier outcomes of this project ({stated.failed:,} failed)"
    if stated.state == "too_few":
        return (
            f"Risk orders traces and is no probability: {known} are known,"
            f" {MIN_OUTCOMES} with {MIN_OF_EACH} of each kind are needed to calibrate it."
        )
    if stated.state == "no_gain":
        return (
            f"Risk orders traces and is no probability: {known}, by {stated.source},"
            " were not foretold better than their base rate, so nothing was learnt from them."
        )
    return (
        f"Risk is the chance of failing, calibrated on {known}, by {stated.source}:"
        f" area under the curve {stated.auc_after:.2f} on outcomes not used, {stated.auc_before:.2f}"
        f" without; {stated.moved:,} traces are among the riskiest tenth because of it."
    )
