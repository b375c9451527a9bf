"""The report that a window is held against: what was, what is new, what is gone."""

from collections.abc import Iterable
from itertools import islice

from halo_daemon.findings import Report
from halo_daemon.proto.times import format_unix_ns
from halo_daemon.store.trace_reader import Window

_MAX_READ = 10
"""Reports that are looked at where nights were analysed in another order than they came."""


def report_before(reports: Iterable[Report], window: Window) -> Report | None:
    """
    Of *reports*, the last written first, the one whose window ended last by the end of *window*.

    A later one is no past: held against it, what came since would be gone. One of a sample
    is passed over, because sums and names of a part are no measure for the whole, and one
    of a window without traces, such as a night on which nothing was sent. None where none
    of the last ten will do.
    """
    begin, end = format_unix_ns(window.from_unix_ns), format_unix_ns(window.to_unix_ns)
    found: Report | None = None
    for report in islice(reports, _MAX_READ):
        if not _is_measure(report) or report.window.to > end:
            continue
        if found is None or report.window.to > found.window.to:
            found = report
        if found.window.to >= begin:
            break
    return found


def _is_measure(report: Report) -> bool:
    return report.coverage.sample is None and report.dataset.traces > 0
