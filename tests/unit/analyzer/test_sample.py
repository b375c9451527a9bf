"""A sample of a window: which traces are in it, and what a report of one may claim."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from halo_daemon.analyzer.ledger_entries import entries_of
from halo_daemon.analyzer.memory import Memory
from halo_daemon.analyzer.sample import sample_of
from halo_daemon.findings import fold
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.spans import START_UNIX_NS
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import WINDOW, reader_of, report_of
from tests.unit.analyzer.test_run import failing, fine


def answered(number, *, service="", session=""):
    """A trace that answers at once, of an agent that its root is named after."""
    return TraceScript(number, agent=service or "support", session=session).answer("Yes.")


def sampled(scripts, max_traces):
    """The sample of a window that holds the scripts' traces."""
    return sample_of(reader_of(scripts), WINDOW, max_traces)


@pytest.mark.parametrize("traces", [0, 1, 5])
def test_a_window_that_fits_is_read_whole(traces):
    """No sample is taken where the window holds no more traces than are wanted."""
    assert sampled([fine(n) for n in range(1, traces + 1)], 5) is None


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 39))
def test_the_order_of_arrival_does_not_change_the_sample(shuffler: random.Random, wanted: int):
    """The same traces give the same sample, which holds exactly as many as were wanted."""
    scripts = [failing(n) if n % 3 else fine(n) for n in range(1, 41)]
    first = sampled(scripts, wanted)
    shuffler.shuffle(scripts)

    again = sampled(scripts, wanted)

    assert first is not None
    assert again == first
    assert (len(first.trace_ids), first.of) == (wanted, 40)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 59))
def test_every_stratum_has_its_share(wanted):
    """Failing traces are in the sample as they are in the window, but for one either way."""
    scripts = [failing(n) if n <= 12 else fine(n) for n in range(1, 61)]
    failed = {script.trace_id for script in scripts[:12]}

    sample = sampled(scripts, wanted)

    assert sample is not None
    assert abs(len(sample.trace_ids & failed) - wanted * 12 / 60) <= 1


def test_what_is_rare_has_the_chance_that_all_have():
    """Of a hundred traces, each the only one of its kind, a tenth is in a sample of a tenth."""
    scripts = [answered(n, service=f"agent {n}") for n in range(1, 101)]

    sample = sampled(scripts + [answered(n) for n in range(101, 1001)], 100)

    assert sample is not None
    rare = len(sample.trace_ids & {script.trace_id for script in scripts})
    assert 3 <= rare <= 20


def test_a_session_is_taken_whole_or_not_at_all():
    """Traces that follow one another in a session stay together."""
    scripts = [answered(n, session=f"s{n // 3}") for n in range(3, 93)]
    session_of = {script.trace_id: script.session for script in scripts}

    sample = sampled(scripts, 45)

    assert sample is not None
    assert set(Counter(session_of[trace_id] for trace_id in sample.trace_ids).values()) == {3}


def test_a_session_larger_than_the_sample_is_not_taken_whole():
    """A conversation that never ends leaves room for others."""
    scripts = [answered(n, session="endless") for n in range(1, 91)]
    others = [answered(n, service="other") for n in range(91, 101)]

    sample = sampled(scripts + others, 10)

    assert sample is not None
    assert len(sample.trace_ids) == 10


def nights(*, sizes, failures, max_traces=None):
    """Reports of one window after the other, remembered in a ledger; and that ledger's history."""
    entries, reports = [], []
    length_ns = 10**12
    for night, (size, failed) in enumerate(zip(sizes, failures, strict=True)):
        begin_ns = START_UNIX_NS + night * length_ns
        scripts = [failing(n) if n <= failed else fine(n) for n in range(1, size + 1)]
        report = report_of(
            scripts,
            window=Window(begin_ns, begin_ns + length_ns),
            memory=Memory(fold(entries)),
            max_traces=max_traces[night] if max_traces else None,
        )
        report = report.model_copy(update={"report_id": f"r_{night}"})
        entries += entries_of(report, fold(entries))
        reports.append(report)
    return reports, fold(entries)


@pytest.mark.parametrize(
    ("wanted", "state"),
    [pytest.param(5, "not_seen", id="5"), pytest.param(60, "resolved", id="60")],
)
def test_a_sample_resolves_what_its_own_traces_rule_out(wanted, state):
    """The window has traces enough to resolve a finding; a sample does it with enough of its own."""
    reports, histories = nights(sizes=[40, 80], failures=[8, 0], max_traces=[None, wanted])

    (row,) = reports[1].resolved
    (history,) = histories.values()

    assert (row.state, row.exposure, history.state) == (state, wanted, state)


def test_samples_of_a_window_do_not_add_up():
    """Looking at five traces ten times is not looking at fifty."""
    first, _ = nights(sizes=[40], failures=[8])
    entries = entries_of(first[0], {})
    window = Window(START_UNIX_NS + 10**12, START_UNIX_NS + 2 * 10**12)
    for _ in range(10):
        memory = Memory(fold(entries))
        report = report_of(
            [fine(n) for n in range(1, 81)], window=window, memory=memory, max_traces=5
        )
        entries += entries_of(report, memory.histories)

    (history,) = fold(entries).values()

    assert (history.state, history.exposure) == ("not_seen", 0)


@pytest.mark.parametrize("failed", [8, 0], ids=["seen", "absent"])
def test_a_sample_does_not_use_up_its_window(failed):
    """The report of the whole window counts as it would have without the sample before."""
    before, _ = nights(sizes=[40], failures=[8])
    known = fold(entries_of(before[0], {}))
    window = Window(START_UNIX_NS + 10**12, START_UNIX_NS + 2 * 10**12)
    scripts = [failing(n) if n <= failed else fine(n) for n in range(1, 41)]
    small = report_of(scripts, window=window, memory=Memory(known), max_traces=10)
    (between,) = fold([*entries_of(before[0], {}), *entries_of(small, known)]).values()

    (alone,) = known.values()

    assert (between.days, between.windows) == (alone.days, alone.windows)
    assert between.exposed_until == alone.exposed_until


def test_a_rise_is_left_as_it_was():
    """A sample neither begins nor ends an escalation, seen or not."""
    before, _ = nights(sizes=[40], failures=[8])
    (history,) = fold(entries_of(before[0], {})).values()
    known = {history.finding_id: replace(history, is_escalating=True)}
    window = Window(START_UNIX_NS + 10**12, START_UNIX_NS + 2 * 10**12)
    for failed in (0, 8):
        scripts = [failing(n) if n <= failed else fine(n) for n in range(1, 41)]

        report = report_of(scripts, window=window, memory=Memory(known), max_traces=20)

        assert [finding.escalating for finding in report.findings] == [True] * bool(failed)
        assert "escalation" not in {entry.type for entry in entries_of(report, known)}


def test_a_report_of_a_sample_says_so_everywhere():
    """Coverage, headline and limits name the part and the whole; sums are held against nothing."""
    scripts = [failing(n) if n <= 10 else fine(n) for n in range(1, 51)]
    whole = report_of(scripts)

    report = report_of(scripts, previous=whole, max_traces=20)

    assert report.coverage.sample is not None
    assert (report.coverage.sample.traces, report.coverage.sample.of) == (20, 50)
    assert "20 of 50 traces examined" in report.summary.headline
    assert any("A sample of 20 of the window's 50 traces" in limit for limit in report.limits)
    assert report.totals.tokens.previous is None
