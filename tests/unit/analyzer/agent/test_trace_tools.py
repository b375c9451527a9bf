import json

import pytest

from halo_daemon.analyzer.agent.arguments import ToolArguments
from halo_daemon.analyzer.agent.messages import ToolCall
from halo_daemon.analyzer.agent.queries import QueryLog
from halo_daemon.analyzer.agent.toolbox import Tool, Toolbox
from halo_daemon.analyzer.agent.trace_tools import TraceTools
from halo_daemon.proto.span import Span
from halo_daemon.testing.memory_reader import MemoryReader
from halo_daemon.testing.spans import START_UNIX_NS, make_fields, span_id_of, trace_id_of
from tests.unit.analyzer.agent.traces import shop_reader, source_of

TRACE = trace_id_of(2)
TOOL_SPAN = span_id_of(203)


def toolbox(reader=None, **more) -> Toolbox:
    """The trace tools over the shop."""
    return Toolbox(TraceTools(source_of(reader or shop_reader()), QueryLog()).tools(), **more)


async def ask(name: str, *, box: Toolbox | None = None, **arguments):
    """One call's answer."""
    call = ToolCall("c", name, json.dumps(arguments))
    answer = json.loads(await (box or toolbox()).answer(call))
    return answer.get("result", answer)


async def test_the_overview_counts_everything():
    """Counts, names, times and samples of the window."""
    overview = await ask("get_dataset_overview")

    assert (overview["total_traces"], overview["total_spans"]) == (8, 32)
    assert overview["error_trace_count"] == 4
    assert overview["service_names"] == ["support-bot"]
    assert overview["total_input_tokens"] == 8 * 50
    assert len(overview["sample_trace_ids"]) == 8


async def test_an_empty_selection_is_zeros():
    """Nothing selected gives zeros, empty texts and empty lists."""
    overview = await ask("get_dataset_overview", filters={"service_names": ["none"]})

    assert (overview["total_traces"], overview["earliest_start_time"]) == (0, "")
    assert overview["sample_trace_ids"] == []


@pytest.mark.parametrize(
    ("filters", "total"),
    [
        ({}, 8),
        ({"has_errors": True}, 4),
        ({"has_errors": False}, 4),
        ({"model_names": ["gpt-x", "other"]}, 8),
        ({"tool_names": ["book_flight"], "has_errors": True}, 4),
        ({"trace_ids": [TRACE]}, 1),
        ({"regex_pattern": "seat map [24] is"}, 2),
        ({"start_time_gte": "2100-01-01T00:00:00Z"}, 0),
        ({"end_time_lte": "2100-01-01T00:00:00+02:00"}, 8),
        ({"project_id": "default"}, 8),
        ({"agent_names": ["nobody"]}, 0),
    ],
)
async def test_filters_select(filters, total):
    """Every field narrows; lists match on any element; instants are compared, not texts."""
    assert (await ask("count_traces", filters=filters))["total"] == total


async def test_pages_add_up_to_the_whole():
    """Following `offset` visits every trace once, in order."""
    seen = []
    for offset in range(0, 8, 3):
        page = await ask("query_traces", limit=3, offset=offset)
        seen += [row["trace_id"] for row in page["traces"]]

    assert seen == [trace_id_of(n) for n in range(1, 9)]


async def test_a_trace_is_viewed_whole():
    """All spans with their attributes, nothing oversized."""
    seen = await ask("view_trace", trace_id=TRACE)

    assert len(seen["spans"]) == 4
    assert seen["oversized"] is None
    assert "seat map" in json.dumps(seen["spans"])


async def test_missing_spans_are_named():
    """Ids that do not exist are told (S17)."""
    seen = await ask("view_spans", trace_id=TRACE, span_ids=[TOOL_SPAN, "nope"])

    assert [span["span_id"] for span in seen["spans"]] == [TOOL_SPAN]
    assert seen["missing_span_ids"] == ["nope"]


def big_reader(spans: int = 300, value_chars: int = 4_000) -> MemoryReader:
    """One trace of many long spans in a chain of three levels."""
    reader = MemoryReader()
    for n in range(1, spans + 1):
        fields = make_fields(
            trace_id=TRACE,
            span_id=span_id_of(n),
            parent_span_id="" if n == 1 else span_id_of(n // 10 or 1),
            start_unix_ns=START_UNIX_NS + n,
            attributes={"output.value": f"needle {n} " + "é" * value_chars},
        )
        reader.add(Span.from_fields(fields), received_unix_ns=1)
    return reader


async def test_an_oversized_trace_comes_as_an_outline_that_leads_on():
    """No dead end: every span of the outline can be opened (S16)."""
    box = toolbox(big_reader())
    seen = await ask("view_trace", box=box, trace_id=TRACE)
    outline = seen["oversized"]["outline"]

    last = next(row["span_id"] for row in outline if row["span_id"] == span_id_of(300))
    opened = await ask("view_spans", box=box, trace_id=TRACE, span_ids=[last])

    assert seen["spans"] == []
    assert (seen["oversized"]["span_count"], len(outline)) == (300, 300)
    assert "needle 300 " in opened["spans"][0]["attributes"]["output.value"]


def wide_tree(spans: int) -> dict[int, int]:
    """All below one root."""
    return dict.fromkeys(range(2, spans + 1), 1)


def chain(spans: int) -> dict[int, int]:
    """Each below the one before."""
    return {number: number - 1 for number in range(2, spans + 1)}


def bushy_tree(spans: int) -> dict[int, int]:
    """Twenty below each."""
    return {number: max(1, number // 20) for number in range(2, spans + 1)}


def loose_spans(_: int) -> dict[int, int]:
    """All of them roots."""
    return {}


@pytest.mark.parametrize("tree", [wide_tree, chain, bushy_tree, loose_spans])
@pytest.mark.parametrize("wanted", [777, 1_700])
async def test_any_span_of_a_huge_trace_is_three_calls_away(tree, wanted):
    """Whatever the shape of the tree, its outline, one part of it and the span are enough (S16)."""
    spans = 1_700
    reader = MemoryReader()
    parents = tree(spans)
    for n in range(1, spans + 1):
        fields = make_fields(
            trace_id=TRACE,
            span_id=span_id_of(n),
            parent_span_id=span_id_of(parents[n]) if n in parents else "",
            start_unix_ns=START_UNIX_NS + n,
            attributes={"output.value": f"needle {n} " + "x" * 1_000},
        )
        reader.add(Span.from_fields(fields), received_unix_ns=1)
    box = toolbox(reader)

    first = await ask("view_trace", box=box, trace_id=TRACE)
    found = set()
    for row in first["oversized"]["outline"]:
        if row["span_id"] == span_id_of(wanted):
            found.add(wanted)
        if not row.get("folded_spans"):
            continue
        part = {"page": row["page"]} if "page" in row else {"start_span": row["span_id"]}
        second = await ask("view_trace", box=box, trace_id=TRACE, **part)
        shown = second["spans"] or second["oversized"]["outline"]
        if any(one["span_id"] == span_id_of(wanted) for one in shown):
            found.add(wanted)
    opened = await ask("view_spans", box=box, trace_id=TRACE, span_ids=[span_id_of(wanted)])

    assert found == {wanted}
    assert f"needle {wanted} " in opened["spans"][0]["attributes"]["output.value"]


async def test_a_trace_is_read_in_pages_that_add_up():
    """Following `next` visits every span once; a page that does not exist is an error."""
    box = toolbox(big_reader(spans=900, value_chars=10))
    seen: list[str] = []
    arguments = {"trace_id": TRACE, "page": 1}
    while arguments:
        part = await ask("view_trace", box=box, **arguments)
        rows = part["spans"] or part["oversized"]["outline"]
        seen += [row["span_id"] for row in rows]
        arguments = part.get("next", {}).get("arguments")

    assert sorted(seen) == sorted(span_id_of(n) for n in range(1, 901))
    assert "no page 4" in (await ask("view_trace", box=box, trace_id=TRACE, page=4))["error"]


async def test_a_part_of_a_trace_is_what_is_below_a_span():
    """`start_span` and `max_depth` choose a subtree; a span that is not there is an error."""
    box = toolbox(big_reader(spans=40, value_chars=10))

    part = await ask("view_trace", box=box, trace_id=TRACE, start_span=span_id_of(2), max_depth=1)
    top = await ask("view_trace", box=box, trace_id=TRACE, max_depth=0)
    none = await ask("view_trace", box=box, trace_id=TRACE, start_span="gone")

    below = {span_id_of(n) for n in (2, *range(20, 30))}
    assert {span["span_id"] for span in part["spans"]} == below
    assert [span["span_id"] for span in top["spans"]] == [span_id_of(1)]
    assert "no span `gone`" in none["error"]


async def test_every_answer_fits_the_budget():
    """No tool passes the budget, whatever it is asked (R6, S14)."""
    box = toolbox(big_reader(), budget_bytes=20_000)
    for name, arguments in (
        ("view_trace", {"trace_id": TRACE}),
        ("search_trace", {"trace_id": TRACE, "regex_pattern": ".", "max_matches": 500}),
        ("query_spans", {"limit": 500}),
        ("view_spans", {"trace_id": TRACE, "span_ids": [span_id_of(n) for n in range(1, 100)]}),
    ):
        text = await box.answer(ToolCall("c", name, json.dumps(arguments)))
        assert len(text.encode()) <= 20_000
        assert json.loads(text)


@pytest.mark.parametrize(
    "value", ['she said "hi"', "café au lait", "first line\nsecond line", "tab\there"]
)
async def test_decoded_values_are_searched(value):
    """Quotes, accents and line ends are found as people write them (S13)."""
    reader = MemoryReader()
    fields = make_fields(trace_id=TRACE, attributes={"input.value": f"x {value} y"})
    reader.add(Span.from_fields(fields), received_unix_ns=1)

    found = await ask("search_trace", box=toolbox(reader), trace_id=TRACE, regex_pattern=value)

    assert found["match_count"] >= 1
    assert found["matches"][0]["match_text"] == value


async def test_matches_are_counted_and_paged():
    """All matches are counted; `offset` reads on."""
    box = toolbox(big_reader(spans=20))
    first = await ask(
        "search_trace", box=box, trace_id=TRACE, regex_pattern="needle", max_matches=15
    )
    rest = await ask(
        "search_trace", box=box, trace_id=TRACE, regex_pattern="needle", max_matches=15, offset=15
    )

    assert (first["match_count"], first["returned_match_count"], first["has_more"]) == (
        20,
        15,
        True,
    )
    assert (rest["returned_match_count"], rest["has_more"]) == (5, False)


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("view_trace", {"trace_id": "none"}, "no trace `none`"),
        ("search_span", {"trace_id": TRACE, "span_id": "x", "regex_pattern": "a"}, "no span `x`"),
        ("search_trace", {"trace_id": TRACE, "regex_pattern": "(a"}, "cannot search for"),
        ("search_trace", {"trace_id": TRACE, "regex_pattern": "(?<=a)b"}, "cannot search for"),
        (
            "search_trace",
            {"trace_id": TRACE, "regex_pattern": "a", "max_matches": 501},
            "$.max_matches",
        ),
        ("view_spans", {"trace_id": TRACE, "span_ids": []}, "$.span_ids"),
        ("query_traces", {"limit": 0}, "$.limit"),
    ],
)
async def test_mistakes_are_told(name, arguments, told):
    """A wrong id, pattern or range is an answer that says what to do (R4, R5)."""
    assert told in (await ask(name, **arguments))["error"]


async def test_leaf_errors_can_be_listed():
    """Only spans none of whose children has an error, with previews."""
    found = await ask("query_spans", leaf_errors_only=True)

    assert found["total"] == 4
    assert found["spans"][0]["tool_name"] == "book_flight"
    assert found["spans"][0]["output_preview"].startswith("error: seat map")


async def test_a_catastrophic_pattern_costs_nothing():
    """Patterns run in linear time (S15)."""
    found = await ask("search_trace", trace_id=TRACE, regex_pattern="(a+)+$")

    assert found["match_count"] == 0


async def test_the_same_call_again_is_answered_from_memory():
    """A repeated call gets the same answer with a note (T-15)."""
    box = toolbox()
    first = await box.answer(ToolCall("a", "count_traces", "{}"))
    again = json.loads(await box.answer(ToolCall("b", "count_traces", "{}")))

    assert again["result"] == json.loads(first)["result"]
    assert "2. time" in again["note"]


class NoArguments(ToolArguments):
    """Does something."""


@pytest.mark.parametrize("fault", [RuntimeError("boom"), MemoryError(), KeyError("x")])
async def test_a_tool_that_raises_is_an_answer(fault):
    """Nothing that happens in a tool leaves it (R5, T-12)."""

    async def run(*_):
        raise fault

    box = Toolbox([Tool("t", NoArguments, run)])
    answer = json.loads(await box.answer(ToolCall("a", "t", "{}")))

    assert type(fault).__name__ in answer["error"]


async def test_a_tool_that_takes_too_long_is_cut():
    """A time limit is an answer too (T-12)."""
    import asyncio  # noqa: PLC0415

    async def run(*_):
        await asyncio.Event().wait()

    box = Toolbox([Tool("t", NoArguments, run, timeout_s=0.01)])

    assert "took more than" in json.loads(await box.answer(ToolCall("a", "t", "{}")))["error"]


def test_schemas_are_valid_json_schema():
    """Providers accept what is offered: every schema is one, with descriptions."""
    import jsonschema  # noqa: PLC0415

    for schema in toolbox().schemas:
        jsonschema.Draft202012Validator.check_schema(schema.parameters)
        assert schema.description
        assert schema.parameters["type"] == "object"


def large_trace(spans: int = 6) -> MemoryReader:
    """One trace of which an answer holds two spans."""
    reader = MemoryReader(max_answer_bytes=50_000)
    for number in range(1, spans + 1):
        fields = make_fields(
            trace_id=TRACE,
            span_id=span_id_of(number),
            parent_span_id="" if number == 1 else span_id_of(1),
            start_unix_ns=START_UNIX_NS + number,
            attributes={"input.value": f"step {number} " + "x" * 20_000},
        )
        reader.add(Span.from_fields(fields), received_unix_ns=START_UNIX_NS)
    return reader


async def test_a_trace_too_large_to_read_at_once_is_read_in_parts():
    """Each answer names the call that goes on, and those calls show every span once."""
    box = toolbox(large_trace())
    shown, calls = [], 0
    arguments = {"trace_id": TRACE}
    while arguments:
        answer = await ask("view_trace", box=box, **arguments)
        shown += [span["span_id"] for span in answer["spans"]]
        arguments = answer["rest"]["next"]["arguments"] if "rest" in answer else {}
        calls += 1

    assert shown == [span_id_of(number) for number in range(1, 7)]
    assert calls == 3


async def test_spans_behind_the_first_part_are_found():
    """Looking at a span, searching and opening a subtree reach every part of a large trace."""
    box = toolbox(large_trace())
    last = span_id_of(6)

    viewed = await ask("view_spans", box=box, trace_id=TRACE, span_ids=[last, span_id_of(99)])
    in_span = await ask(
        "search_span", box=box, trace_id=TRACE, span_id=last, regex_pattern="step 6"
    )
    in_trace = await ask("search_trace", box=box, trace_id=TRACE, regex_pattern="step [0-9]")
    below = await ask("view_trace", box=box, trace_id=TRACE, start_span=last)
    listed = await ask("query_spans", box=box, contains="step 6")

    assert [span["span_id"] for span in viewed["spans"]] == [last]
    assert viewed["missing_span_ids"] == [span_id_of(99)]
    assert in_span["match_count"] == 1
    assert in_trace["match_count"] == 6
    assert [span["span_id"] for span in below["spans"]] == [last]
    assert [span["span_id"] for span in listed["spans"]] == [last]


async def test_a_part_that_is_none_is_told():
    """Behind the last span nothing follows, and behind an unknown one is no place."""
    box = toolbox(large_trace())

    behind = await ask("view_trace", box=box, trace_id=TRACE, after_span=span_id_of(6))
    unknown = await ask("view_trace", box=box, trace_id=TRACE, after_span=span_id_of(99))

    assert "nothing follows" in json.dumps(behind)
    assert "no span" in json.dumps(unknown)
