"""
Observations of a Langfuse server.

Newer servers have ``/api/public/v2/observations`` with a cursor, older ones page
numbers only, and there sessions and users stand with the traces. The version that
``/api/public/health`` tells decides which is tried first; what a server does not
have is answered by the other.
"""

from typing import Final

from halo_daemon.exchange.import_batches import EVER, StartWindow
from halo_daemon.exchange.pull_client import NoSuchPageError, PullClient, PullError
from halo_daemon.exchange.pulls import Page, Puller, Stream, page_of
from halo_daemon.exchange.read_langfuse import SOURCE, langfuse_draft
from halo_daemon.exchange.values import count, items, mapping, objects, text
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.times import format_unix_ns

_FIELDS: Final = "core,basic,time,io,metadata,model,usage,metrics,trace_context"
_NEWER_SINCE: Final = 4
"""The server's major version."""

_LIMIT, _OLDER_LIMIT = "1000", "100"
_OLDER: Final = "page "
"""What a cursor of the older API begins with."""

_CUT_CHARS: Final = 200
_MAX_WHOLE: Final = 50

_MAX_TRACES: Final = 200_000
"""Traces whose session and user are held, of an older server."""


async def langfuse_streams(client: PullClient, wanted: str) -> list[Stream]:
    """The one project that the keys belong to; *wanted* only names it."""
    return [Stream(wanted, _Pages(client, wanted).page)]


LANGFUSE: Final = Puller(SOURCE, langfuse_streams, needs_margin=True)


class _Pages:
    """The pages of one server."""

    def __init__(self, client: PullClient, name: str) -> None:
        self._client = client
        self._name = name
        self._whole: set[str] = set()
        """Metadata keys whose values the server is asked not to cut."""
        self._is_older: bool | None = None
        self._traces: dict[str, JsonObject] | None = None

    async def page(self, window: StartWindow, cursor: str) -> Page:
        """The page at a cursor."""
        if self._is_older is None:
            self._is_older = (
                cursor.startswith(_OLDER) if cursor else await self._version() < _NEWER_SINCE
            )
        first, second = (self._older, self._newer) if self._is_older else (self._newer, self._older)
        try:
            return await first(window, cursor)
        except NoSuchPageError:
            if cursor:
                raise
            self._is_older = not self._is_older
            return await second(window, cursor)

    async def _version(self) -> int:
        """The server's major version; that of the newest when it does not tell."""
        try:
            health = await self._client.get("/api/public/health")
        except PullError:
            return _NEWER_SINCE
        major = text(health.get("version")).lstrip("v").partition(".")[0]
        return int(major) if major.isdecimal() else _NEWER_SINCE

    async def _newer(self, window: StartWindow, cursor: str) -> Page:
        parameters = {"limit": _LIMIT, "fields": _FIELDS, **_bounds(window, "StartTime")}
        if cursor:
            parameters["cursor"] = cursor
        answer = await self._ask_newer(parameters)
        cut = _cut_keys(answer) - self._whole
        if cut and len(self._whole) < _MAX_WHOLE:
            self._whole |= cut
            answer = await self._ask_newer(parameters)
        following = text(mapping(answer.get("meta")).get("cursor"))
        return self._page(items(answer.get("data")), following)

    async def _ask_newer(self, parameters: dict[str, str]) -> JsonObject:
        whole = {"expandMetadata": ",".join(sorted(self._whole))} if self._whole else {}
        return await self._client.get("/api/public/v2/observations", {**parameters, **whole})

    async def _older(self, window: StartWindow, cursor: str) -> Page:
        if self._traces is None:
            self._traces = await self._of_traces(window)
        number = int(cursor.removeprefix(_OLDER) or 1)
        answer = await self._client.get(
            "/api/public/observations",
            {"limit": _OLDER_LIMIT, "page": str(number), **_bounds(window, "StartTime")},
        )
        records: list[JsonValue] = [
            {**self._traces.get(text(one.get("traceId")), {}), **one}
            for one in objects(answer.get("data"))
        ]
        is_last = number >= _pages_of(answer) or not records
        return self._page(records, "" if is_last else f"{_OLDER}{number + 1}")

    async def _of_traces(self, window: StartWindow) -> dict[str, JsonObject]:
        """What the traces of the window say of all their observations, by id."""
        found: dict[str, JsonObject] = {}
        number = 1
        while len(found) < _MAX_TRACES:
            parameters = {
                "limit": _OLDER_LIMIT,
                "page": str(number),
                **_bounds(window, "Timestamp"),
            }
            answer = await self._client.get("/api/public/traces", parameters)
            for trace in objects(answer.get("data")):
                known = {"sessionId", "userId", "release", "tags"} & trace.keys()
                found[text(trace.get("id"))] = {
                    "traceName": trace.get("name"),
                    **{key: trace[key] for key in sorted(known)},
                }
            if number >= _pages_of(answer):
                break
            number += 1
        return found

    def _page(self, records: list[JsonValue], following: str) -> Page:
        return page_of(SOURCE, records, langfuse_draft, project=self._name, following=following)


def _cut_keys(answer: JsonObject) -> set[str]:
    """Metadata keys with a value as long as the server lets one be unasked."""
    return {
        key
        for one in objects(answer.get("data"))
        for key, value in mapping(one.get("metadata")).items()
        if isinstance(value, str) and len(value) >= _CUT_CHARS and "," not in key
    }


def _pages_of(answer: JsonObject) -> int:
    return count(mapping(answer.get("meta")).get("totalPages")) or 0


def _bounds(window: StartWindow, of: str) -> dict[str, str]:
    bounds = {}
    if window.from_unix_ns > EVER.from_unix_ns:
        bounds[f"from{of}"] = format_unix_ns(window.from_unix_ns)
    if window.to_unix_ns < EVER.to_unix_ns:
        bounds[f"to{of}"] = format_unix_ns(window.to_unix_ns)
    return bounds
