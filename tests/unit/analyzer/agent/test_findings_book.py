import pytest

from halo_daemon.analyzer.agent.drafts import DraftFinding
from halo_daemon.analyzer.agent.findings_book import FindingsBook
from halo_daemon.analyzer.agent.queries import QueryLog
from halo_daemon.analyzer.agent.quotes import find_quote
from halo_daemon.analyzer.verify import is_quoted
from halo_daemon.proto.span import Span
from halo_daemon.testing.spans import make_fields, span_id_of, trace_id_of
from tests.unit.analyzer.agent.traces import GOAL_DRIFT, shop_reader, source_of

TRACE, LAST = trace_id_of(2), span_id_of(204)


def draft(quote: str = GOAL_DRIFT, **more) -> DraftFinding:
    """A finding with one quote."""
    row = {"trace_id": TRACE, "span_id": LAST, "quote": quote} | more.pop("row", {})
    fields = {"title": "The agent drifts from its goal", "evidence": [row]} | more
    return DraftFinding.model_validate(fields)


@pytest.fixture
def shop() -> FindingsBook:
    """A book over the shop's traces."""
    return FindingsBook(source_of(shop_reader()), QueryLog(), frozenset({"F-0123456789AB"}))


@pytest.mark.parametrize(
    ("finding", "verified", "problem"),
    [
        pytest.param(draft(), True, "", id="right"),
        pytest.param(
            draft("book  the\nhotel “instead”".replace("“", "").replace("”", "")),
            True,
            "",
            id="white-space-folded",
        ),
        pytest.param(draft("seat map 2 is not available"), True, "", id="in-another-attribute"),
        pytest.param(draft("seat map 3 is not available"), False, "stands in no span", id="digits"),
        pytest.param(
            draft("book_flight()"), False, f"stands in {span_id_of(202)}", id="other-span"
        ),
        pytest.param(draft(row={"trace_id": "none"}), False, "no trace `none`", id="no-trace"),
        pytest.param(draft(row={"span_id": "none"}), False, "no span `none`", id="no-span"),
        pytest.param(draft(GOAL_DRIFT.upper()), False, "is not in span", id="letter-case"),
    ],
)
async def test_quotes_are_looked_up(shop, finding, verified, problem):
    """A finding counts only when its quote stands in the span that it names (R16, S-05)."""
    answer = await shop.record(finding)

    assert answer["verified"] is verified
    assert problem in " ".join(answer["problems"])
    assert len(shop.verified) == verified


async def test_counts_come_from_the_query(shop):
    """What the model says of numbers is corrected and told (S-05)."""
    query_id = shop.queries.remember("query_traces", "{}", 4, 8)

    answer = await shop.record(draft(query_id=query_id, affected_traces=5))

    [finding] = shop.verified
    assert (finding.counts.affected_traces, finding.counts.eligible_traces) == (4, 8)
    assert finding.counts.query_id == query_id
    assert "you said 5, counted 4" in answer["problems"][0]


async def test_an_unknown_query_is_told(shop):
    """A query that was never asked counts for nothing."""
    answer = await shop.record(draft(query_id="q_made_up"))

    assert "no query `q_made_up`" in answer["problems"][0]
    assert shop.verified[0].counts.affected_traces == 1


async def test_a_claim_is_mended_by_recording_it_again(shop):
    """The same title is the same finding; a verified one is not lost to a worse one."""
    await shop.record(draft("never said"))
    await shop.record(draft())
    await shop.record(draft("never said either"))

    assert len(shop.findings) == 1
    assert shop.verified[0].evidence[0].quote == GOAL_DRIFT


async def test_only_known_findings_are_explained(shop):
    """A finding that does not exist cannot be joined."""
    good = await shop.record(draft(explains="F-0123456789AB"))
    bad = await shop.record(draft(title="Something else entirely", explains="F-ZZZZZZZZZZZZ"))

    assert shop.explanations == {good["finding_id"]: "F-0123456789AB"}
    assert "no finding" in bad["problems"][0]


async def test_a_book_is_restored_from_its_records(shop):
    """What a journal kept is what was recorded."""
    await shop.record(draft(explains="F-0123456789AB"))
    records = [shop.to_record(finding) for finding in shop.findings.values()]
    again = FindingsBook(shop.source, QueryLog())

    again.restore(records)

    assert (again.findings, again.explanations) == (shop.findings, shop.explanations)


@pytest.mark.parametrize(
    ("value", "quote", "found"),
    [
        ("a  b\n c", "a b c", "a  b\n c"),
        ("it’s “so”", 'it\'s "so"', "it’s “so”"),
        ("key sk-1 then the rest", "[redacted:api-key] then the rest", "then the rest"),
        ("x" * 300 + " tail", "x" * 30 + "… [cut: 305 characters in all]", "x" * 30),
        ('{"a": "b\\nc"}', "b\\nc", "b\\nc"),
        ("line one\nline two", "one\\nline", "one\nline"),
        ("ｆｕｌｌ width", "full width", "ｆｕｌｌ width"),
        ("nothing", "no", None),
        ("", "abc", None),
    ],
)
def test_a_quote_is_found_as_models_quote(value, quote, found):
    """Folding is undone: the place is exact, and anyone can check it."""
    span = Span.from_fields(make_fields(attributes={"output.value": value}))

    place = find_quote(span, quote)

    assert (place and place.text) == found
    if place:
        assert value[place.start : place.end] == place.text


async def test_recorded_evidence_holds_at_its_exact_place(shop):
    """The report's own check finds every verified quote again."""
    await shop.record(draft("book  the hotel instead"))

    [row] = shop.verified[0].evidence
    span = shop.source.load(TRACE).by_id[LAST]
    assert is_quoted(span, row)
