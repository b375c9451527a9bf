import itertools

import orjson
import pytest

from halo_daemon.errors import QueryError
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.patterns import compile_pattern, has_anchors, required_literal
from halo_daemon.store.query import SearchQuery
from halo_daemon.store.query_engine import LocalQueries
from halo_daemon.store.span_search import ValueSearch, values_of
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.spans import START_UNIX_NS, make_fields, make_line, span_id_of

EVERYTHING = Window(0, 2**62)


@pytest.mark.parametrize(
    ("value", "pattern"),
    [
        pytest.param('say "hi"', 'say "hi"', id="quotes"),
        pytest.param("café", "café", id="accents"),
        pytest.param("one\ntwo", r"one\ntwo", id="over-a-line-end"),
        pytest.param("one\ntwo", "(?s)one.two", id="dot-over-a-line-end"),
        pytest.param("C:\\temp", r"C:\\temp", id="backslash"),
        pytest.param("a\tb", r"a\sb", id="tab"),
        pytest.param("\u2028x", "\u2028", id="line-separator"),
        pytest.param("exact", "^exact$", id="anchors-are-of-the-value"),
        pytest.param("ERROR 42", "(?i)error [0-9]+", id="flag"),
        pytest.param("aaa", "(a|b)+$", id="alternation"),
        pytest.param(42, "^42$", id="number"),
        pytest.param([{"k": ["deep"]}], "^deep$", id="nested"),
    ],
)
def test_values_are_found_as_people_see_them(value, pattern):
    """The byte filter lets every line through that holds a match, and the match is found."""
    fields = make_fields(attributes={"x": value})
    search = ValueSearch(pattern)
    block = make_line(span_id=span_id_of(9)) + orjson.dumps(fields) + b"\n"

    # What follows the last line end is the beginning of a line that is looked at later.
    rest = orjson.dumps(fields)
    places = search.candidates(block + rest, len(block))
    lines = [block[start:end] for start, end in places]

    assert orjson.dumps(fields) in lines
    found = search.first_match(fields)
    assert found is not None
    assert found.where.startswith("attributes.x")


def test_a_match_tells_where_it_is():
    """Offsets count characters of the decoded value; long matches are cut, with context."""
    fields = make_fields(attributes={"x": "é" * 300 + "needle" + "z" * 5_000})

    found = ValueSearch("needlez+", context_chars=10).first_match(fields)

    assert found is not None
    assert (found.where, found.start_char, found.end_char) == ("attributes.x", 300, 5_306)
    assert len(found.match_text) == 1_024
    assert found.context.startswith("é" * 10 + "needle")


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        ("plain text", "plain text"),
        ("a+bcd[0-9]ef", "bcd"),
        ("(foo|bar)baz", "baz"),
        ("foo?", "fo"),
        ("(?i)foo", ""),
        ("a|b", ""),
        (r"\d+", ""),
        ("(", ""),
        (r"\p{Greek}", ""),
        ("", ""),
    ],
)
def test_the_literal_that_every_match_holds(pattern, literal):
    """The longest plain run outside of choices and repetitions; nothing when unsure."""
    assert required_literal(pattern) == literal


@pytest.mark.parametrize("pattern", ["^a", "a$", r"\ba", r"a\z"])
def test_anchors_are_seen(pattern):
    """A pattern that speaks of edges is not tried on raw lines."""
    assert has_anchors(pattern)


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("(?=x)", "look-around"),
        (r"(a)\1", "look-around"),
        ("(", "RE2"),
        ("x" * 3_000, "shorter"),
        ("(((a{100}){100}){100})", "RE2"),
    ],
)
def test_patterns_that_cannot_be_used_are_told(pattern, hint):
    """Each refusal names a remedy."""
    with pytest.raises(QueryError) as caught:
        compile_pattern(pattern)

    assert hint in caught.value.hint


def test_a_pattern_that_hangs_others_is_linear():
    """Nested repetition over a long value ends at once."""
    fields = make_fields(attributes={"x": "a" * 100_000 + "!"})

    assert ValueSearch("(a+)+$").first_match(fields) is None


def test_paths_name_keys_and_places():
    """Keys are joined by dots, places stand in brackets, empty values are left out."""
    found = dict(values_of({"a": {"b": [1, {"c": "x"}]}, "n": None, "t": True}))

    assert found == {"a.b[0]": "1", "a.b[1].c": "x", "t": "true"}


@pytest.fixture
def stored(tmp_path):
    """Two shards of one day, with 100 spans."""
    day = DataPaths(tmp_path).project("default").day("2026-08-29")
    day.directory.mkdir(parents=True)
    for shard in range(2):
        lines = [make_line(span_id=span_id_of(shard * 50 + n)) for n in range(1, 51)]
        day.plain(f"10000{shard}Z-w0-000001").write_bytes(b"".join(lines))
    return tmp_path


def test_a_search_that_runs_out_of_time_goes_on_later(stored):
    """Each answer covers something, and following `next` reaches every match once."""
    ticks = itertools.count()
    queries = LocalQueries(
        stored,
        "default",
        now_unix_ns=lambda: START_UNIX_NS,
        now_monotonic_s=lambda: float(next(ticks)),
    )
    found: list[str] = []
    answers = 0
    after = ""
    while True:
        query = SearchQuery(pattern="work", time_limit_s=1, after=after, limit=500)
        answer = queries.search(EVERYTHING, query)
        found += [match.span_id for match in answer.matches]
        answers += 1
        after = answer.next
        if not after:
            break
        assert answer.timed_out
    queries.close()

    assert answers > 1
    assert sorted(found) == [span_id_of(number) for number in range(1, 101)]


@pytest.mark.parametrize("after", ["x", "2026-08-29/s", "2026-08-29/s/-1", "2026-08-29/s/²"])
def test_a_cursor_that_is_none_is_told(stored, after):
    """A cursor that was not given out is refused with a hint."""
    queries = LocalQueries(
        stored, "default", now_unix_ns=lambda: START_UNIX_NS, now_monotonic_s=lambda: 0.0
    )

    with pytest.raises(QueryError, match="cannot continue"):
        queries.search(EVERYTHING, SearchQuery(pattern="x", after=after))
    queries.close()
