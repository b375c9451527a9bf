"""Which report a window is held against."""

from halo_daemon.analyzer.report_before import report_before
from halo_daemon.findings import SampleOf
from halo_daemon.store.trace_reader import Window
from tests.unit.analyzer.analysis import report_of
from tests.unit.analyzer.test_run import window as traces

DAY_NS = 24 * 3_600 * 10**9


def night(number):
    """The window of a night."""
    return Window(number * DAY_NS, (number + 1) * DAY_NS)


def report(number, scripts=None):
    """The report of a night."""
    return report_of(traces() if scripts is None else scripts, window=night(number))


def test_the_night_before_is_the_measure():
    """Written last or not: a night analysed again later is not what came before tonight."""
    nights = [report(number) for number in range(4)]
    in_order = nights[::-1]
    again = [nights[0], *in_order]

    assert report_before(in_order, night(4)) == nights[3]
    assert report_before(again, night(4)) == nights[3]


def test_a_later_night_is_no_past_of_an_earlier_one():
    """A night analysed again is held against its own first report, not against what came since."""
    nights = [report(number) for number in range(4)]

    assert report_before(nights[::-1], night(1)) == nights[1]
    assert report_before([nights[3], nights[2]], night(1)) is None


def test_samples_and_empty_windows_are_no_measure():
    """They are passed over, for what was before them."""
    whole, empty, part = report(0), report(1, []), report(2)
    sample = SampleOf(traces=4, of=20, max_traces=4)
    part = part.model_copy(update={"coverage": part.coverage.model_copy(update={"sample": sample})})

    assert report_before([part, empty, whole], night(3)) == whole
