import pytest

from halo_daemon.analyzer.rules.quotations import attributed, first_made_up
from halo_daemon.analyzer.rules.totals import number_of, wrong_totals
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import report_of

SOURCE = "Policy: refunds are paid within 14 days of the return.\nShipping is not refunded."


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param('The policy says "refunds are paid within two days".', id="says"),
        pytest.param("The page states: “refunds are paid at once and in full”.", id="curly"),
        pytest.param('"Refunds are paid within two days", the policy says.', id="said after"),
        pytest.param("Laut Seite „refunds are paid within two days“.", id="German"),
        pytest.param("Selon la page «refunds are paid within two days».", id="French"),
        pytest.param('It reads "refunds are paid within 14 days ... and in cash".', id="half true"),
    ],
)
def test_words_that_no_source_holds_are_made_up(answer):
    """A quotation that is said to be one, and that stands nowhere."""
    assert first_made_up(tuple(attributed(answer)), [SOURCE])


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param('The policy says "Refunds are paid within 14 days".', id="there"),
        pytest.param('It says "refunds are PAID, within 14 days of the return."', id="punctuation"),
        pytest.param('It says "refunds are paid ... days of the return".', id="left out"),
        pytest.param('It says "[all] refunds are paid within 14 days".', id="put in"),
        pytest.param('It says "the return. Shipping is not refunded".', id="over a line end"),
        pytest.param('Write: "please refund my order within two days".', id="a draft"),
        pytest.param('It could say "refunds are paid within two days".', id="imagined"),
        pytest.param('You can say "I would like my money back now".', id="a proposal"),
        pytest.param('The book "refunds are paid within two days" is good.', id="a title"),
        pytest.param('It says "paid at once".', id="short"),
        pytest.param('Es sagt "Erstattungen werden binnen zwei Wochen gezahlt".', id="translated"),
    ],
)
def test_other_quotation_marks_are_left_alone(answer):
    """What stands there, and what nobody claims to have been said."""
    assert not first_made_up(tuple(attributed(answer)), [SOURCE])


@pytest.mark.parametrize(
    "source",
    [
        pytest.param('{"text": "refunds are\\npaid within \\"two\\" days"}', id="JSON"),
        pytest.param("<p>refunds <b>are</b> paid within two days</p>", id="mark-up"),
        pytest.param("something else entirely with refunds paid within days...", id="cut"),
    ],
)
def test_the_form_of_a_source_does_not_matter(source):
    """Escapes and mark-up are no words, and a source that was cut may hold any."""
    assert not first_made_up(["refunds are paid within two days"], [source])


@pytest.mark.parametrize(
    "answer",
    [
        "So that is $3.00 + $4.50 = $8.00.",
        "375 + 12 = 388",
        "50 - 20 = 40 remain",
        "1.234,50 € + 10,00 € = 1.300,00 €",
        "- Shoes: $20.00\n- Hat: $15.00\n\nTotal: $40.00",
        "| Item | Price |\n|---|---|\n| a | $1.00 |\n| b | $2.00 |\n| **Total** | $4.00 |",
        "1. Flug: 300 EUR\n2. Hotel: 200 EUR\nGesamt: 550 EUR",
        "* a: $5.00\n* b: -$2.00\nGrand total: $7.00",
    ],
)
def test_a_sum_that_is_not_one_is_found(answer):
    """Equations and lists whose total is another."""
    assert len(list(wrong_totals(answer))) == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("3 + 4 = 7 and 10 - 3 = 7", id="right"),
        pytest.param("33 + 33 + 33 = 100", id="shares"),
        pytest.param("5 % + 6 % = 12 %", id="per cent"),
        pytest.param("3 × 4 + 5 = 17 and 4 + 5 × 2 = 14", id="products"),
        pytest.param("(4 + 5) = 8, 2x + 3 = 9, x = 5", id="algebra"),
        pytest.param("2026-01-01 + 1 = 2026-01-02", id="dates"),
        pytest.param("10 + 20 = 31k", id="units"),
        pytest.param("1.5 + 2.25 = 3.8", id="rounded"),
        pytest.param("$1.33 + $1.33 + $1.33 = $4.00", id="a cent"),
        pytest.param("- a: $20.00\n- b: $15.00\n\nTotal: $35.00", id="right list"),
        pytest.param("- a: $5.00 each\n- b: $3.00\nTotal: $13.00", id="quantities"),
        pytest.param("- a: 2 x $5.00\n- b: $3.00\nTotal: $13.00", id="times"),
        pytest.param("- a: $5.00\n- discount: $3.00\nTotal: $2.00", id="a discount"),
        pytest.param("- a: $5.00\n- b: €3.00\nTotal: $9.00", id="two currencies"),
        pytest.param("- a: $5.00\nTotal: $9.00", id="one item"),
        pytest.param("- a: $5.00 ($1.00 tax)\n- b: $1.00\nTotal: $9.00", id="two amounts"),
        pytest.param("- a: $5.00\n- b: $4.00\n\nOther words.\nTotal: $20.00", id="something else"),
        pytest.param("- Subtotal: $5.00\n- Tax: $1.00\n- Fee: $1.00\nTotal: $9.00", id="subtotal"),
    ],
)
def test_sums_that_are_right_or_unclear_are_left_alone(answer):
    """Right ones, and those that may be meant in another way."""
    assert list(wrong_totals(answer)) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234", "1234"),
        ("1.234,50", "1234.50"),
        ("1,234.5", "1234.5"),
        ("12.5", "12.5"),
        ("7", "7"),
    ],
)
def test_numbers_are_read_as_people_write_them(text, value):
    """Groups and decimals, with either mark."""
    assert str(number_of(text)) == value


def kinds(answer, result=SOURCE, *, error="", **attributes):
    """What an answer after one call is found to lack, by kind; a run may end with an error."""
    script = TraceScript(1).model("Look.").tool("search", {"q": "x"}, result=result, **attributes)
    script.model("Done.").answer(answer)
    report = report_of([script.fails(error) if error else script])
    found = [f for f in report.weak_signals if f.source == "rule:ungrounded_answer@2"]
    assert all(row.verified for row in found)
    return {f.fingerprint.parts[3] for f in found}


def test_each_kind_is_a_finding_of_its_own():
    """A code, a quotation and a total in one answer."""
    answer = 'Case AB-12345: it says "refunds are paid within two days", so 3 + 4 = 8.'

    assert kinds(answer) == {"code", "quotation", "total"}


def test_a_run_that_failed_gave_no_answer():
    """The object that tells of its end holds times and ids that no tool told."""
    news = '{"error_code": "RuntimeError", "timestamp": 1795972790.3660135}'

    assert kinds(news) == {"number"}
    assert kinds(news, error="RuntimeError: connection refused") == set()


def test_a_total_that_a_tool_stated_is_grounded():
    """The tool may count what the answer leaves out."""
    answer = "- a: $20.00\n- b: $15.00\nTotal: $40.25"

    assert kinds(answer) == {"total"}
    assert kinds(answer, result="total with tax: 40.25") == set()


@pytest.mark.parametrize(
    ("answer", "result", "found"),
    [
        pytest.param("It is 49000.", "x", {"number"}, id="a whole number"),
        pytest.param("It is 0.00049.", "x", {"number"}, id="a small one"),
        pytest.param("It is 0.00049.", "value 0.00049 found", set(), id="in the result"),
        pytest.param("It is 0.00049.", "value 0.000487 found", set(), id="rounded up"),
        pytest.param("It is 0.00048.", "value 0.000483 found", set(), id="rounded down"),
        pytest.param("It is 0.00050.", "value 0.000496 found", set(), id="with a carry"),
        pytest.param("It is 0.00047.", "value 0.000483 found", {"number"}, id="not rounded"),
        pytest.param("It is 12345.67.", "the sum of 12345.67 is due", set(), id="with cents"),
        pytest.param("It is 1.2345.", "x", set(), id="few decimals"),
    ],
)
def test_a_number_with_a_point_is_one_number(answer, result, found):
    """0.00049 is not the number 00049; what it was rounded from grounds it."""
    assert kinds(answer, result=result) == found
