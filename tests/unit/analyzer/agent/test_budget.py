import pytest
from hypothesis import given, settings, strategies as st

from halo_daemon.analyzer.agent.budget import Budget, Ledger, Need, Reservation, SizeEstimator
from halo_daemon.analyzer.agent.clock import Clock
from halo_daemon.analyzer.agent.errors import EngineBudgetExceededError
from halo_daemon.analyzer.agent.messages import Usage
from halo_daemon.analyzer.agent.requester import backoff_s
from halo_daemon.analyzer.agent.usage import Price, price_of

PRICE = Price(2.0, 8.0, 0.5)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "book", "release"]), st.integers(0, 5_000), st.integers(0, 500)
    ),
    max_size=60,
)


def ledger(**limits) -> Ledger:
    """A ledger whose clock stands still."""
    return Ledger(Budget(**limits), lambda: 0.0)


@settings(max_examples=100)
@given(STEPS, st.integers(0, 30_000), st.floats(0, 0.1))
def test_promises_never_pass_the_budget(steps, tokens, usd):
    """Spent and promised together stay within every limit, in any order of events (P-06)."""
    book = ledger(tokens=tokens, usd=usd)
    book.closing_need = Need(0, 0)
    open_: list[Reservation] = []
    for kind, input_tokens, output_tokens in steps:
        if kind == "reserve":
            try:
                open_.append(
                    book.reserve(Need(input_tokens, output_tokens, PRICE), keep_closing=True)
                )
            except EngineBudgetExceededError:
                continue
        elif open_ and kind == "book":
            reservation = open_.pop(0)
            need = reservation.need
            book.book(reservation, Usage(need.input_tokens, need.output_tokens))
        elif open_:
            book.release(open_.pop())
        promised = [reservation.need for reservation in open_]
        assert book.spent.tokens + sum(need.tokens for need in promised) <= tokens
        assert book.spent.usd + sum(need.usd for need in promised) <= usd + 1e-12
        assert book.spent.tokens >= 0


def test_room_for_the_closing_request_is_kept():
    """What the root needs to finish is not given away (R10, B-03)."""
    book = ledger(tokens=10_000)
    book.closing_need = Need(2_000, 4_000)

    assert book.obstacle(Need(3_900, 100), keep_closing=True) == ""
    assert book.obstacle(Need(3_901, 100), keep_closing=True) == "tokens"
    assert book.obstacle(Need(3_901, 100), keep_closing=False) == ""


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"tokens": 0}, "tokens"),
        ({"usd": 0.0}, "usd"),
        ({"requests": 0}, "requests"),
        ({"turns": 0}, "turns"),
        ({"seconds": 0.0}, "seconds"),
    ],
)
def test_a_budget_of_nothing_buys_nothing(limits, reason):
    """Each limit binds, by its own word and setting."""
    with pytest.raises(EngineBudgetExceededError) as caught:
        ledger(**limits).reserve(Need(1, 1, PRICE), keep_closing=False)

    assert caught.value.reason == reason
    assert f"`analysis.budget.{reason}`" in str(caught.value)


def test_a_model_without_a_price_is_bound_by_tokens():
    """Unknown is not free of limits: dollars do not bind, tokens do (U-04)."""
    book = ledger(usd=0.001, tokens=100)

    assert book.obstacle(Need(10_000, 0), keep_closing=False) == "tokens"


def test_an_answer_without_usage_is_booked_as_estimated():
    """Nothing reported means the estimate, flagged (U-01)."""
    book = ledger()
    booked = book.book(book.reserve(Need(50, 20), keep_closing=False), None)

    assert (booked.total_tokens, booked.estimated) == (70, True)
    assert book.spent.estimated_tokens == 70


def test_the_estimator_learns_from_what_was_reported():
    """A request that cost far more than estimated corrects the next estimate (U-03)."""
    estimator = SizeEstimator()
    before = estimator.tokens(36_000)
    estimator.learn(3_600, 3_000)

    assert (before, estimator.tokens(36_000)) == (10_001, 30_001)


@given(st.integers(1, 10**6), st.floats(0, 120))
def test_waits_stay_within_their_bounds(failures, asked_s):
    """Full jitter up to thirty seconds, or the server's wait when longer (P-07)."""
    longest = backoff_s(failures, asked_s, Clock(uniform=lambda _low, high: high))
    shortest = backoff_s(failures, asked_s, Clock(uniform=lambda low, _high: low))

    assert shortest == asked_s
    assert longest == max(asked_s, min(30.0, 0.5 * 2.0 ** min(failures - 1, 30)))


def test_prices_are_found_by_the_longest_name():
    """The nearest name wins, a provider's prefix does not count, strangers have no price."""
    prices = {"gpt-5": PRICE, "gpt-5-mini": Price(0.1, 0.2)}

    assert price_of("gpt-5-mini-2026", prices) == Price(0.1, 0.2)
    assert price_of("openai/gpt-5.4", prices) is PRICE
    assert price_of("llama", prices) is None
    assert PRICE.cost_usd(Usage(1_000_000, 0, cached_input_tokens=1_000_000)) == 0.5


def test_the_tree_has_a_bound_on_sub_agents():
    """No more than allowed are started in the whole run (B-11)."""
    book = ledger(subagents=2)

    assert [book.take_subagent(name) for name in ("a", "b", "c", "a")] == [True, True, False, True]
