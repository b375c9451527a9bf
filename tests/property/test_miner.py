"""Whatever the order, the split and the number of parts, the findings are the same bytes."""

import random

from hypothesis import given, settings, strategies as st

from bench.faults.catalogue import MODES, runs
from halo_daemon.analyzer.assemble import assemble
from halo_daemon.analyzer.miner import mine
from halo_daemon.analyzer.partial import Partial
from halo_daemon.analyzer.run import RunInfo, analyze_window
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.findings import from_json, to_json
from halo_daemon.store.trace_reader import Share, Window
from halo_daemon.testing.memory_reader import MemoryReader

WINDOW = Window(0, 2**62)
SETTINGS = MinerSettings()
RATES = {mode.name: 0.04 for mode in MODES}
SCRIPTS = [script for _, script in runs(100, rates=RATES, seed=3)]
SPANS = [span for script in SCRIPTS for span in script.spans()]


def reader_of(spans):
    """A reader of spans received in that order."""
    reader = MemoryReader()
    for span in spans:
        reader.add(span, received_unix_ns=1)
    return reader


def report_of(reader):
    """The report's bytes."""
    run = RunInfo("r_1", "run_1", 1_790_000_000_000_000_000)
    return to_json(analyze_window(reader, project="p", window=WINDOW, run=run))


EXPECTED = report_of(reader_of(SPANS))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
def test_the_order_of_spans_changes_no_byte(seed: int):
    """Spans arrive in any order (P-02)."""
    shuffled = SPANS[:]
    random.Random(seed).shuffle(shuffled)

    assert report_of(reader_of(shuffled)) == EXPECTED


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_spans_that_come_twice_and_late_change_no_finding(seed: int):
    """Any spans again, in any order, hours later than the rest: the same findings."""
    draw = random.Random(seed)
    again = draw.sample(SPANS, draw.randint(1, len(SPANS)))
    reader = MemoryReader()
    for span in draw.sample(SPANS, len(SPANS)):
        reader.add(span, received_unix_ns=draw.choice((1, 10**13)))
    for span in again:
        reader.add(span, received_unix_ns=draw.choice((1, 2 * 10**13)))

    found = from_json(report_of(reader))

    expected = from_json(EXPECTED)
    assert found.findings == expected.findings
    assert found.traces == expected.traces
    assert found.dataset.duplicate_spans == len(again)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 12), st.randoms(use_true_random=False))
def test_the_number_of_parts_changes_nothing(parts: int, draw: random.Random):
    """Partial results of any number of parts, merged in any order, are those of one."""
    reader = reader_of(SPANS)
    shares = [Share(place, parts) for place in range(parts)]
    draw.shuffle(shares)
    known = Partial()

    for share in shares:
        known.absorb(mine(reader.iter_traces(WINDOW, share=share), SETTINGS))

    whole = mine(reader.iter_traces(WINDOW), SETTINGS)
    assert assemble(known, SETTINGS).findings == assemble(whole, SETTINGS).findings
    assert {rule: vars_of(row) for rule, row in known.checked.items()} == {
        rule: vars_of(row) for rule, row in whole.checked.items()
    }
    assert known.defects == whole.defects


def vars_of(checked):
    """The figures of one rule."""
    return checked.checked, checked.of, checked.not_checked


def test_every_trace_is_in_exactly_one_share():
    """Shares neither lose nor double a trace."""
    for parts in (1, 2, 3, 7):
        for script in SCRIPTS:
            homes = [place for place in range(parts) if Share(place, parts).has(script.trace_id)]
            assert len(homes) == 1


def test_an_unrelated_trace_changes_only_denominators():
    """A clean trace more changes counts of eligible traces, and no finding's cases."""
    later = [script for _, script in runs(420, rates={}, seed=9)][400:]
    # One that asks the tool whose empty answers are a weak signal of their own is a case more.
    more = next(one for one in later if all(s.name != "list_alerts" for s in one.spans()))
    assert more.trace_id not in {script.trace_id for script in SCRIPTS}
    reader = reader_of([*SPANS, *more.spans()])

    before = assemble(mine(reader_of(SPANS).iter_traces(WINDOW), SETTINGS), SETTINGS).findings
    after = assemble(mine(reader.iter_traces(WINDOW), SETTINGS), SETTINGS).findings

    cases = {f.finding_id: (f.counts.affected_traces, f.title) for f in before}
    assert {f.finding_id: (f.counts.affected_traces, f.title) for f in after} == cases
