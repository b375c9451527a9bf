"""A run says the same of its tools whether spans stand for them or messages tell of them."""

from dataclasses import replace

from hypothesis import given, settings, strategies as st

from halo_daemon.analyzer.miner import mine
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.proto.span import TOOL
from halo_daemon.proto.trace import Trace
from halo_daemon.testing.message_only import told_in_messages
from halo_daemon.testing.traces import TraceScript

_TOOLS = ["find_order", "search_docs", "refund_order", "get_status"]
_RESULTS = [
    ("all is well", ""),
    ("[]", ""),
    ("Error: order is locked", ""),
    ('{"error": "HTTP 503: service unavailable"}', ""),
    ("Errors: 0 of 12 pages", ""),
    ("", "IndexError: shard 7 is closed"),
    ("", "find_order() got an unexpected keyword argument 'verbose'"),
]
_COUNTS_TEXTS = ("injection_text", "empty_result")
"""Rules that count recorded spans and recorded results, of which the forms have others."""

_CALLS = st.tuples(st.sampled_from(_TOOLS), st.integers(0, 2), st.sampled_from(_RESULTS))
_TURNS = st.lists(st.lists(_CALLS, min_size=1, max_size=3), max_size=8)


def _script(turns) -> TraceScript:
    script = TraceScript(1)
    for calls in turns:
        script.model(calls=[(tool, {"id": number}) for tool, number, _ in calls])
        for tool, number, (result, error) in calls:
            script.tool(tool, {"id": number}, result=result, error=error)
    return script.model("Done.").answer("Done.")


def _told(known):
    """Findings with their counts, what could have shown them, and what was checked of tools."""
    found = {
        (key, hit.occurrences, hit.spans, hit.is_recovered, hit.is_weak, hit.certainty, hit.wasted)
        for key, group in known.groups.items()
        for hit in group.hits.values()
    }
    checked = {
        rule: (row.checked, row.of)
        for rule, row in known.checked.items()
        if not rule.startswith(_COUNTS_TEXTS)
    }
    (facts,) = known.traces.values()
    return found, known.eligible, checked, facts.steps, facts.leaf_errors, facts.features


@settings(max_examples=60, deadline=None)
@given(_TURNS, st.booleans(), st.booleans())
def test_messages_tell_of_tools_what_their_spans_tell(turns, has_ids, keeps_tools):
    """Findings, counts, denominators and steps are equal, also where both forms are there."""
    spans = _script(turns).spans()
    told = told_in_messages(spans, has_ids=has_ids, keeps_tools=keeps_tools)

    expected = mine([Trace.merge(spans)], MinerSettings())
    known = mine([Trace.merge(told)], MinerSettings())

    assert _told(known) == _told(expected)


@settings(max_examples=60, deadline=None)
@given(_TURNS, st.sets(st.sampled_from(_TOOLS)))
def test_tools_with_and_without_spans_count_once_each(turns, traced):
    """Where only some tools are instrumented the others are read from messages."""
    spans = _script(turns).spans()
    told = [
        span
        for span in told_in_messages(spans, keeps_tools=True)
        if not span.tool_name or span.tool_name in traced
    ]

    expected = mine([Trace.merge(spans)], MinerSettings())
    known = mine([Trace.merge(told)], MinerSettings())

    assert known.eligible == expected.eligible
    assert _errors(known) == _errors(expected)


@settings(max_examples=60, deadline=None)
@given(_TURNS)
def test_spans_that_leave_out_what_came_of_a_call_have_it_from_messages(turns):
    """Name, id and time by the span, everything else by prompts: the report is the same."""
    spans = _script(turns).spans()
    told = [
        _without_texts(span) if span.observation_kind == TOOL else span
        for span in told_in_messages(spans, keeps_tools=True)
    ]

    expected = mine([Trace.merge(spans)], MinerSettings())
    known = mine([Trace.merge(told)], MinerSettings())

    assert _told(known) == _told(expected)


def _without_texts(span):
    kept = {
        key: value
        for key, value in span.attributes.items()
        if key not in {"input.value", "output.value"}
    }
    return replace(
        span, attributes=kept, status_code="STATUS_CODE_UNSET", status_message="", events=()
    )


def _errors(known):
    return {
        (key, hit.occurrences)
        for key, group in known.groups.items()
        for hit in group.hits.values()
        if key.rule in {"tool_error", "infra_error", "bad_arguments"}
    }
