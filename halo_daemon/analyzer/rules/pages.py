"""Pages of the web that come in place of those that do not."""

import re
from bisect import bisect_right
from typing import NamedTuple

from halo_daemon.analyzer.rules.tool_words import opens_pages
from halo_daemon.analyzer.subjects import Subject
from halo_daemon.analyzer.tool_call import ToolCall
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.span import Span

_HOST = re.compile(r"://([^\s/\"'?#]{1,200})")


class _Page(NamedTuple):
    """A page that came."""

    call: ToolCall
    site: str


class _Came(NamedTuple):
    """The pages that came by one tool, in order."""

    positions: list[int]
    pages: list[_Page]
    next_other: list[int]
    """Of each page, the place of the next one from another site; their number where none is."""
    last_other: int
    """The place of the last one from another site than the very last; -1 where none is."""


class Pages:
    """
    What came of one run's look at the web.

    Who reads the web meets pages that are gone, closed or slow, and goes on to the next: a
    page that does not come is made up for by any page of another site, whenever it came.
    """

    def __init__(self, view: TraceView) -> None:
        self._view = view
        self._came: dict[Subject, _Came] = {}

    def another(self, failed: Span) -> Span | None:
        """
        The page of another site that came after a failing call, else the last one before it.

        None where *failed* is no call for a page, or no other came.
        """
        call = self._view.call_of.get(failed.span_id)
        if call is None or not opens_pages(call.tool) or "://" not in call.arguments.value:
            return None
        subject = self._view.subjects[failed.span_id]
        came = self._came.get(subject)
        if came is None:
            came = self._came[subject] = _came(self._view.calls_of(subject))
        site = _site(call)
        at = bisect_right(came.positions, call.position)
        if at < len(came.pages) and came.pages[at].site == site:
            at = came.next_other[at]
        if at == len(came.pages):
            # None after it, so the last of another site stands before it.
            is_last = bool(came.pages) and came.pages[-1].site != site
            at = len(came.pages) - 1 if is_last else came.last_other
        return came.pages[at].call.span if at >= 0 else None


def _came(calls: list[ToolCall]) -> _Came:
    pages = [_Page(call, _site(call)) for call in calls if not call.signal and call.result.value]
    next_other = [len(pages)] * len(pages)
    for place in reversed(range(len(pages) - 1)):
        is_same = pages[place].site == pages[place + 1].site
        next_other[place] = next_other[place + 1] if is_same else place + 1
    changes = [place for place in range(len(pages)) if next_other[place] < len(pages)]
    positions = [page.call.position for page in pages]
    return _Came(positions, pages, next_other, changes[-1] if changes else -1)


def _site(call: ToolCall) -> str:
    """The host that a call asks; ``""`` for none."""
    found = _HOST.search(call.arguments.value)
    return found[1].lower() if found else ""
