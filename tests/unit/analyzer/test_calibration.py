"""Risk learnt from outcomes, on generated data whose truth is known."""

import math
import random

import pytest
from hypothesis import given, settings, strategies as st

from halo_daemon.analyzer.calibration import MIN_OUTCOMES, auc, fit, learn, sentence
from halo_daemon.findings import KnownOutcome

RULES = ("cycle", "tool_error", "truncated_output", "ungrounded_answer")
TRUTH = {"cycle": 1.6, "tool_error": -0.8, "truncated_output": 0.0, "ungrounded_answer": 1.0}


def outcomes(number, *, seed, slope=0.8, truth=TRUTH, first=0, trials=1):
    """Traces whose failing follows a known law; *trials* of each task share their luck."""
    draw = random.Random(seed)
    rows = []
    for place in range(number):
        risk = min(max(draw.betavariate(2, 2), 0.02), 0.98)
        rules = tuple(rule for rule in RULES if draw.random() < 0.3)
        log_odds = -1.2 + slope * math.log(risk / (1 - risk)) + sum(truth[r] for r in rules)
        rows.append(
            KnownOutcome(
                trace_id=f"{first + place:032x}",
                at=f"2026-11-{place % 28 + 1:02d}T00:00:00.000000000Z",
                failed=draw.random() < 1 / (1 + math.exp(-log_odds)),
                source="feedback",
                task=f"task-{seed}-{place // trials}",
                risk=risk,
                rules=rules,
            )
        )
    return rows


def shuffled(rows, seed):
    """The same traces with their outcomes dealt out anew."""
    failed = [row.failed for row in rows]
    random.Random(seed).shuffle(failed)
    return [row.model_copy(update={"failed": each}) for row, each in zip(rows, failed, strict=True)]


def test_calibrated_risk_orders_and_measures_unseen_traces_better():
    """On traces that were not learnt from, order and probabilities are nearer to the truth."""
    learnt = learn(outcomes(1_000, seed=1), ())
    unseen = outcomes(4_000, seed=2, first=10_000)

    risks = [learnt.calibration.risk_of(row.risk, row.rules) for row in unseen]

    failed = [row.failed for row in unseen]
    assert auc(risks, failed) > auc([row.risk for row in unseen], failed) + 0.05
    for low, high in ((0.0, 0.2), (0.2, 0.4), (0.4, 0.7)):
        inside = [place for place, risk in enumerate(risks) if low <= risk < high]
        said = sum(risks[place] for place in inside) / len(inside)
        came = sum(failed[place] for place in inside) / len(inside)
        assert said == pytest.approx(came, abs=0.05)


def test_what_the_report_says_of_unseen_outcomes_is_what_they_show():
    """The area under the curve that is stated holds on traces of another time."""
    learnt = learn(outcomes(1_000, seed=3), ())
    unseen = outcomes(4_000, seed=4, first=10_000)

    shown = auc(
        [learnt.calibration.risk_of(row.risk, row.rules) for row in unseen],
        [row.failed for row in unseen],
    )

    assert learnt.stated.auc_after == pytest.approx(shown, abs=0.04)


def test_noise_teaches_nothing():
    """Outcomes dealt out at random, 30 times over histories of 100 to 1,000: none is used."""
    used = [
        learn(shuffled(outcomes(number, seed=seed), seed), ()).stated.state
        for number in (100, 300, 1_000)
        for seed in range(10)
    ]

    assert used == ["no_gain"] * 30


def test_trials_of_one_task_are_no_independent_outcomes():
    """Twenty tasks run fifty times each, all trials alike, foretell nothing of other tasks."""
    used = []
    for seed in range(6):
        rows = outcomes(1_000, seed=seed, trials=50)
        lucky = random.Random(seed)
        luck = {row.task: lucky.random() < 0.4 for row in rows}
        flags = {row.task: tuple(r for r in RULES if lucky.random() < 0.3) for row in rows}
        rows = [
            row.model_copy(update={"failed": luck[row.task], "rules": flags[row.task]})
            for row in rows
        ]
        used.append(learn(rows, ()).stated.state == "calibrated")

    assert sum(used) <= 1


def test_a_useless_rule_gets_next_to_no_weight():
    """A rule that does not go with failing stays near zero; one that does is found."""
    weights = dict(fit(outcomes(3_000, seed=5), with_rules=True).weights)

    assert abs(weights["truncated_output"]) < 0.25
    assert weights["cycle"] == pytest.approx(TRUTH["cycle"], abs=0.35)
    assert weights["tool_error"] < 0


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_the_order_of_outcomes_changes_nothing(seed):
    """Whatever order they come in, and twice as well, the weights are the same numbers."""
    rows = outcomes(200, seed=6)
    again = rows + rows[:50]
    random.Random(seed).shuffle(again)

    assert learn(again, ()) == learn(rows, ())


def test_the_traces_of_the_window_are_not_learnt_from():
    """A history that is the window itself leaves nothing to learn from."""
    rows = outcomes(500, seed=7)

    learnt = learn(rows, {row.trace_id for row in rows})

    assert learnt.calibration is None
    assert learnt.stated.outcomes == 0


def test_the_status_of_the_root_teaches_nothing():
    """What the rules read themselves is no outcome to learn from."""
    rows = [row.model_copy(update={"source": "status"}) for row in outcomes(500, seed=8)]

    assert learn(rows, ()).stated.outcomes == 0


@pytest.mark.parametrize(
    ("rows", "state"),
    [
        pytest.param([], "too_few", id="none"),
        pytest.param(outcomes(MIN_OUTCOMES - 1, seed=9), "too_few", id="one-too-few"),
        pytest.param(
            [row.model_copy(update={"failed": False}) for row in outcomes(500, seed=9)],
            "too_few",
            id="nothing-failed",
        ),
        pytest.param(outcomes(500, seed=9), "calibrated", id="enough"),
    ],
)
def test_too_few_outcomes_leave_the_risk_as_it_is(rows, state):
    """Below the stated numbers nothing is learnt, and the sentence says what is missing."""
    stated = learn(rows, ()).stated

    assert stated.state == state
    assert ("is no probability" in sentence(stated)) == (state != "calibrated")


def test_outcomes_that_no_rule_explains_can_still_scale_the_risk():
    """Where only the order is known, the risk becomes a probability and keeps its order."""
    nothing = dict.fromkeys(RULES, 0.0)
    learnt = learn(outcomes(2_000, seed=10, slope=1.5, truth=nothing), ())

    assert learnt.stated.state == "calibrated"
    risks = [learnt.calibration.risk_of(risk / 20, ()) for risk in range(1, 20)]
    assert risks == sorted(risks)
