"""Spans of a Phoenix server: ``GET /v1/projects/{id}/spans``, in OTLP's shape where it has that."""

from typing import Final
from urllib.parse import quote

import orjson

from halo_daemon.exchange.import_batches import EVER, StartWindow
from halo_daemon.exchange.incoming import Request
from halo_daemon.exchange.otlp_form import attributes_form
from halo_daemon.exchange.pull_client import NoSuchPageError, PullClient
from halo_daemon.exchange.pulls import Page, Puller, Stream, chosen, page_of
from halo_daemon.exchange.read_phoenix import SOURCE, phoenix_draft
from halo_daemon.exchange.values import items, objects, text
from halo_daemon.proto.json_value import JsonObject
from halo_daemon.proto.times import format_unix_ns

_PAGE_LIMIT: Final = "1000"
_DEFAULT_PROJECT: Final = "default"


async def phoenix_streams(client: PullClient, wanted: str) -> list[Stream]:
    """One stream for each project."""
    ids = await _project_ids(client)
    if not ids:
        # A server that does not list its projects is asked by name.
        name = wanted or _DEFAULT_PROJECT
        return [Stream(name, _Pages(client, name, name).page)]
    names = chosen(ids, wanted, "Phoenix")
    # A name may hold what a path may not: the id is as good.
    return [Stream(name, _Pages(client, name, ids[name]).page) for name in names]


PHOENIX: Final = Puller(SOURCE, phoenix_streams)


async def _project_ids(client: PullClient) -> dict[str, str]:
    """Ids of the server's projects by name; empty when it does not tell."""
    ids: dict[str, str] = {}
    cursor = ""
    while True:
        parameters = {"limit": "100", **({"cursor": cursor} if cursor else {})}
        try:
            answer = await client.get("/v1/projects", parameters)
        except NoSuchPageError:
            return {}
        for project in objects(answer.get("data")):
            name, own = text(project.get("name")), text(project.get("id"))
            if name:
                ids[name] = own or name
        following = text(answer.get("next_cursor"))
        if not following or following == cursor:
            return ids
        cursor = following


class _Pages:
    """The pages of one project."""

    def __init__(self, client: PullClient, name: str, own: str) -> None:
        self._client = client
        self._name = name
        self._path = f"/v1/projects/{quote(own, safe='')}/spans"
        self._has_otlp = True

    async def page(self, window: StartWindow, cursor: str) -> Page:
        """The page at a cursor."""
        parameters = {"limit": _PAGE_LIMIT, **_bounds(window)}
        if cursor:
            parameters["cursor"] = cursor
        if self._has_otlp:
            try:
                return self._otlp_page(await self._client.get(f"{self._path}/otlpv1", parameters))
            except NoSuchPageError:
                self._has_otlp = False
        answer = await self._client.get(self._path, parameters)
        return page_of(
            SOURCE,
            items(answer.get("data")),
            phoenix_draft,
            project=self._name,
            following=text(answer.get("next_cursor")),
        )

    def _otlp_page(self, answer: JsonObject) -> Page:
        spans = items(answer.get("data"))
        resource: JsonObject = {"service.name": self._name}
        request = {
            "resourceSpans": [
                {
                    "resource": {"attributes": attributes_form(resource)},
                    "scopeSpans": [{"scope": {"name": f"import.{SOURCE}"}, "spans": spans}],
                }
            ]
        }
        following = text(answer.get("next_cursor"))
        return Page([Request(orjson.dumps(request))] if spans else [], following)


def _bounds(window: StartWindow) -> dict[str, str]:
    bounds = {}
    if window.from_unix_ns > EVER.from_unix_ns:
        bounds["start_time"] = format_unix_ns(window.from_unix_ns)
    if window.to_unix_ns < EVER.to_unix_ns:
        bounds["end_time"] = format_unix_ns(window.to_unix_ns)
    return bounds
