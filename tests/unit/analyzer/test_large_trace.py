"""Traces too large for one answer are examined whole, part by part, and nothing is made up."""

from random import Random

import pytest

from bench.faults.catalogue import MODES, clean_steps, runs
from halo_daemon.analyzer.large_trace import NO_LEAD, piece_of, with_lead
from halo_daemon.analyzer.miner import mine
from halo_daemon.analyzer.rules.registry import RULES
from halo_daemon.analyzer.run import analyze_window
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.store.trace_reader import SPAN_BYTES, trace_parts
from halo_daemon.testing.memory_reader import MemoryReader
from halo_daemon.testing.message_only import told_in_messages
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import RUN, WINDOW

BOUNDS = (20_000, 37_000, 60_000)
NEEDS_WHOLE = {rule.name for rule in RULES if rule.needs_whole}


def work(script, turns, *, size=600):
    """That many turns, each of which reads a page."""
    for turn in range(turns):
        query = {"q": f"page {turn}"}
        page = f"{turn} " + "words of a page " * (size // 16)
        script.model("I read on.", calls=[("read", query)]).tool("read", query, result=page)
    return script


def failing(script, *, times=1):
    """A call that fails."""
    for _ in range(times):
        script.model("I ask.", calls=[("ask", {"n": 1})]).tool(
            "ask", {"n": 1}, error="Boom: no ask"
        )
    return script


def reader_with(scripts, max_answer_bytes, *, in_messages=False):
    """A reader of the scripts' traces whose answers are small; tools may have no spans."""
    reader = MemoryReader(max_answer_bytes=max_answer_bytes)
    for script in scripts:
        for span in told_in_messages(script.spans()) if in_messages else script.spans():
            reader.add(span, received_unix_ns=1)
    return reader


def report_of(*scripts, max_answer_bytes=20_000, **settings):
    """The report of a window with those traces."""
    reader = reader_with(scripts, max_answer_bytes)
    options = MinerSettings(**settings)
    return analyze_window(reader, project="p", window=WINDOW, run=RUN, settings=options)


def mined(*scripts, max_answer_bytes, in_messages=False):
    """What the miner knows of those traces."""
    reader = reader_with(scripts, max_answer_bytes, in_messages=in_messages)
    return mine(reader.iter_traces(WINDOW), MinerSettings(), load_trace=reader.load_trace)


def shown(known):
    """Rule and trace of everything that is strong enough to count; loops of any kind are one."""
    loops = {"cycle": "repeated_call"}
    return {
        (loops.get(key.rule, key.rule), trace_id)
        for key, group in known.groups.items()
        for trace_id, hit in group.hits.items()
        if not hit.is_weak and key.rule not in NEEDS_WHOLE
    }


@pytest.mark.parametrize("before", [0, 20, 55, 80])
def test_a_failure_is_found_wherever_in_a_large_trace_it_is(before):
    """At the beginning, in the middle and at the end, with its decision."""
    scripts = [
        work(failing(work(TraceScript(n), before)), 80 - before).answer("Done.")
        for n in range(1, 4)
    ]

    (finding,) = report_of(*scripts).findings

    assert finding.counts.affected_traces == 3
    assert {"symptom", "decision"} <= {row.role for row in finding.evidence}
    assert finding.verified


@pytest.mark.parametrize("max_answer_bytes", BOUNDS)
def test_an_error_and_its_recovery_belong_together(max_answer_bytes):
    """Wherever between them a part ends: whatever the bound is, the counts are the same."""
    script = TraceScript(1)
    for _ in range(12):
        failing(work(script, 3))
        script.model("Again.", calls=[("ask", {"n": 2})]).tool("ask", {"n": 2}, result="fine")
    script.answer("Done.")

    known = mined(script, max_answer_bytes=max_answer_bytes)

    (group,) = [group for key, group in known.groups.items() if key.rule == "tool_error"]
    (hit,) = group.hits.values()
    assert (hit.occurrences, hit.is_recovered) == (12, True)


@pytest.mark.parametrize("max_answer_bytes", BOUNDS[:2])
def test_parts_show_nothing_that_the_whole_does_not(max_answer_bytes):
    """A rule over sequences makes no finding out of where a part ends, whatever went wrong."""
    rates = {mode.name: 1 / len(MODES) for mode in MODES}
    scripts = [script for _, script in runs(len(MODES), rates=rates, seed=3)]

    whole = mined(*scripts, max_answer_bytes=2**40)
    parts = mined(*scripts, max_answer_bytes=max_answer_bytes)

    assert shown(parts) <= shown(whole)


@pytest.mark.parametrize("max_answer_bytes", BOUNDS)
def test_clean_work_stays_clean(max_answer_bytes):
    """Long runs full of near-misses give nothing in parts that they do not give as a whole."""
    script = TraceScript(1, task="Where is order A-000007?").answer("Your order is on its way.")
    draw = Random(7)
    for _ in range(8):
        clean_steps(script, draw)

    parts = shown(mined(script, max_answer_bytes=max_answer_bytes))

    assert parts <= shown(mined(script, max_answer_bytes=2**40))


@pytest.mark.parametrize("max_answer_bytes", BOUNDS)
def test_parts_add_up_to_one_trace(max_answer_bytes):
    """Each span, step, token and error counts once."""
    script = failing(work(failing(work(TraceScript(1), 20)), 20)).answer("Done.")
    (whole,) = mined(script, max_answer_bytes=2**40).traces.values()

    (facts,) = mined(script, max_answer_bytes=max_answer_bytes).traces.values()

    for name in ("spans", "steps", "model_calls", "input_tokens", "output_tokens", "leaf_errors"):
        assert getattr(facts, name) == getattr(whole, name), name
    for name in ("start_unix_ns", "end_unix_ns", "task", "outcome", "root_span_id", "models"):
        assert getattr(facts, name) == getattr(whole, name), name
    assert len(facts.step_tokens) == len(whole.step_tokens)


def test_a_root_that_repeats_a_failure_is_no_second_one():
    """Although the part that the root ends in holds no failure of its own."""
    script = work(failing(work(TraceScript(1), 20)), 20).fails("the run failed")

    known = mined(script, max_answer_bytes=20_000)

    assert {key.rule for key in known.groups} & {"tool_error", "span_error"} == {"tool_error"}


def test_what_needs_the_whole_run_is_not_asked_of_parts():
    """An answer that quotes an early result is not called made up, and the report says why not."""
    script = TraceScript(1).model("I look.", calls=[("find", {"q": 1})])
    script.tool("find", {"q": 1}, result="The code is ZX-4711-8899.")
    work(script, 60).answer("Your code is ZX-4711-8899.")

    report = report_of(script)

    rows = {row.rule.partition("@")[0]: row for row in report.coverage.rules}
    assert report.findings == ()
    for name in NEEDS_WHOLE:
        (why,) = rows[name].not_checked
        assert (why.reason, why.count, rows[name].checked) == ("over_limit", 1, 0)
    assert rows["refusal"].of == 1


def test_the_report_says_how_much_was_not_looked_at():
    """Behind the last part allowed are so many spans of so many bytes."""
    script = work(TraceScript(1), 60).answer("Done.")
    spans = script.build().spans

    report = report_of(script, max_trace_parts=3)

    large = report.coverage.large
    assert (large.traces, large.parts) == (1, 3)
    left = spans[len(spans) - large.spans_left :]
    assert large.spans_left > 0
    assert large.bytes_left == sum(span.line_bytes for span in left)
    assert f"{large.spans_left:,} of their spans" in " ".join(report.limits)


def test_traces_that_fit_are_examined_as_a_whole():
    """Nothing is said of parts where there are none."""
    report = report_of(work(TraceScript(1), 3).answer("Done."), max_answer_bytes=2**30)

    assert report.coverage.large is None
    assert report.limits == report_of(TraceScript(1).model("x").answer("x")).limits


@pytest.mark.parametrize("max_answer_bytes", BOUNDS)
def test_no_more_than_two_answers_are_in_memory(max_answer_bytes):
    """What leads into a part is smaller than the part before it, the root aside."""
    script = failing(work(TraceScript(1), 60), times=3).answer("Done.")
    reader = reader_with([script], max_answer_bytes)
    lead = NO_LEAD
    root_bytes = script.build().spans[0].line_bytes + SPAN_BYTES

    for part in trace_parts(reader.load_trace, script.trace_id):
        trace = with_lead(part, lead)
        size_bytes = sum(span.line_bytes + SPAN_BYTES for span in trace.spans)

        assert size_bytes <= 2 * max_answer_bytes + root_bytes
        view = TraceView(trace, MinerSettings(), is_part=True)
        lead = piece_of(part, lead, view, is_last=part.cut is None).lead


def test_the_longest_pause_of_a_large_trace_counts_once():
    """Whichever part it is in."""
    script = work(TraceScript(1), 20).waits(500)
    work(script, 20).answer("Done.")

    known = mined(script, max_answer_bytes=20_000)

    (spread,) = [spread for measure, spread in known.spreads.items() if measure.rule == "idle"]
    assert spread.buckets.total() == 1


@pytest.mark.parametrize("max_answer_bytes", [40_000, 55_000, 70_000])
def test_calls_told_in_prompts_count_once_over_all_parts(max_answer_bytes):
    """Every part repeats the history of those before it, and tells of what is new in it alone."""
    script = TraceScript(1)
    for _ in range(6):
        failing(work(script, 4, size=100))
    script.model("Done.").answer("Done.")

    whole = mined(script, max_answer_bytes=2**40)
    parts = mined(script, max_answer_bytes=max_answer_bytes, in_messages=True)

    assert parts.large["parts"] > 1
    (facts,), (expected,) = parts.traces.values(), whole.traces.values()
    assert (facts.steps, facts.leaf_errors) == (expected.steps, expected.leaf_errors)
    assert errors_in(parts) == errors_in(whole) == [6]


def errors_in(known):
    """How often tools failed, finding by finding."""
    return [
        hit.occurrences
        for key, group in known.groups.items()
        for hit in group.hits.values()
        if key.rule == "tool_error"
    ]
