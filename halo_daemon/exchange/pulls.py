"""
Spans of running servers, page by page.

What a page holds is stored before the cursor behind it is noted, together with the
window that the cursor belongs to: a pull that broke off goes on in that window, and
one that ended begins the next time where its window did end, less a margin for what
servers take in late.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from halo_daemon.errors import ConfigError
from halo_daemon.exchange.draft import Draft, request_of
from halo_daemon.exchange.import_batches import Accept, Gathering, ImportSummary, StartWindow
from halo_daemon.exchange.import_state import ImportState
from halo_daemon.exchange.imports import project_namer
from halo_daemon.exchange.incoming import Incoming, Request, Skipped
from halo_daemon.exchange.pull_client import PullClient
from halo_daemon.exchange.record_files import UNREADABLE, DraftOf
from halo_daemon.exchange.values import count, text
from halo_daemon.proto.json_value import JsonObject, JsonValue

MARGIN_NS: Final = 15 * 60 * 10**9
"""How long after their start spans may still appear on a server."""

_MAX_PAGES: Final = 1_000_000
"""So that a server whose cursor never ends is left some day."""


class Page(NamedTuple):
    """What one answer held."""

    incoming: list[Incoming]
    next: str
    """Where the next page begins; ``""`` after the last."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One run of pages: a project of the server."""

    name: str
    """The project, for people and for where its spans go."""
    page: Callable[[StartWindow, str], Awaitable[Page]]
    """The page at a cursor, ``""`` for the first, of what began in the window."""


class Puller(NamedTuple):
    """One kind of server."""

    source: str
    streams: Callable[[PullClient, str], Awaitable[list[Stream]]]
    """The server's projects; only the one that is named, unless ``""`` is."""
    needs_margin: bool = False
    """Whether what began just now is left for the next time."""


@dataclass(kw_only=True)
class PullImport:
    """
    One import from one server.

    Attributes:
        puller: The kind of server.
        client: The server.
        accept: Where batches go.
        now_unix_ns: What "now" is.
        server_project: The server's project; ``""`` for all.
        project: Where all spans go; ``""`` for a project of the server's name.
        window: Which spans are wanted, by their start.
        state: Where cursors are noted; None notes nothing.
        resume: Whether to go on at what *state* says.
        tell: Called after each page with the stream's name, pages, and spans stored so far.
        summary: What was done so far.
    """

    puller: Puller
    client: PullClient
    accept: Accept
    now_unix_ns: int
    server_project: str = ""
    project: str = ""
    window: StartWindow = field(default_factory=StartWindow)
    state: ImportState | None = None
    resume: bool = False
    tell: Callable[[str, int, int], None] = lambda _name, _pages, _spans: None
    summary: ImportSummary = field(default_factory=ImportSummary)

    async def run(self) -> ImportSummary:
        """
        Pull every page; records that cannot be read never end it.

        Raises:
            PullError: The server refused, or broke off more often than is bearable; what
                was stored is noted.
            HaloError: A batch was not accepted.
        """
        for stream in await self.puller.streams(self.client, self.server_project):
            await self._pull(stream)
        return self.summary

    async def _pull(self, stream: Stream) -> None:
        noted = f"{self.puller.source}:{self.client.endpoint}:{stream.name}"
        window, cursor = self._begin(self.state.pull(noted) if self.state else {})
        # What one page holds beyond the window is counted, whatever the server filters.
        gathering = Gathering(
            project_namer(self.project, stream.name or self.puller.source), window, self.summary
        )
        async for page, pages in self._pages(stream, window, cursor):
            for incoming in page.incoming:
                gathering.take(incoming, f"{stream.name or self.puller.source}, page {pages}")
            await gathering.store(self.accept)
            self._note(noted, window, page.next)
            self.tell(stream.name, pages, self.summary.accepted_spans)

    def _begin(self, reached: JsonObject) -> tuple[StartWindow, str]:
        """The window and the cursor to begin with."""
        latest = self.now_unix_ns - (MARGIN_NS if self.puller.needs_margin else 0)
        window = StartWindow(self.window.from_unix_ns, min(self.window.to_unix_ns, latest))
        if not self.resume or not reached:
            return window, ""
        begin, end = count(reached.get("from_unix_ns")) or 0, count(reached.get("to_unix_ns")) or 0
        cursor = text(reached.get("cursor"))
        if cursor:
            return StartWindow(begin, end), cursor
        return StartWindow(max(window.from_unix_ns, end - MARGIN_NS), window.to_unix_ns), ""

    async def _pages(
        self, stream: Stream, window: StartWindow, cursor: str
    ) -> AsyncIterator[tuple[Page, int]]:
        for number in range(1, _MAX_PAGES):
            page = await stream.page(window, cursor)
            is_stuck = page.next == cursor and page.next != ""
            yield (page if not is_stuck else page._replace(next="")), number
            if not page.next or is_stuck:
                return
            cursor = page.next

    def _note(self, name: str, window: StartWindow, cursor: str) -> None:
        if self.state is not None:
            reached: JsonObject = {
                "from_unix_ns": window.from_unix_ns,
                "to_unix_ns": window.to_unix_ns,
                "cursor": cursor,
            }
            self.state.note_pull(name, reached)
            self.state.save()


def page_of(
    source: str, records: Iterable[JsonValue], draft_of: DraftOf, *, project: str, following: str
) -> Page:
    """A page of records that become one span each."""
    incoming: list[Incoming] = []
    drafts: list[Draft] = []
    for number, record in enumerate(records, start=1):
        try:
            if not isinstance(record, dict):
                raise TypeError("not an object")
            drafts.append(draft_of(record))
        except UNREADABLE:
            incoming.append(Skipped("not a span", f"record {number}"))
    drafts.sort(key=lambda draft: (draft.trace, draft.start_unix_ns or 0, bool(draft.parent)))
    if drafts:
        resource: JsonObject = {"service.name": project or source}
        incoming.append(Request(request_of(source, drafts, resource=resource)))
    return Page(incoming, following)


def chosen(names: Iterable[str], wanted: str, source: str) -> list[str]:
    """
    The projects to pull.

    Raises:
        ConfigError: The one that is wanted is not there.
    """
    there = list(names)
    if wanted and wanted not in there:
        raise ConfigError(
            f"cannot find project `{wanted[:80]}` on the {source} server: it has {len(there)}",
            hint=f"one of {', '.join(there[:10])}" if there else "",
        )
    return [wanted] if wanted else there
