"""Runs of a LangSmith server: ``POST /runs/query``, project by project."""

from typing import Final

from halo_daemon.exchange.import_batches import EVER, StartWindow
from halo_daemon.exchange.pull_client import PullClient
from halo_daemon.exchange.pulls import Page, Puller, Stream, chosen, page_of
from halo_daemon.exchange.read_langsmith import SOURCE, langsmith_draft
from halo_daemon.exchange.values import items, mapping, objects, text
from halo_daemon.proto.json_value import JsonObject
from halo_daemon.proto.times import format_unix_ns

_RUNS_A_PAGE: Final = 100
_PROJECTS_A_PAGE: Final = 100
_MAX_PROJECTS: Final = 10_000


async def langsmith_streams(client: PullClient, wanted: str) -> list[Stream]:
    """One stream for each project, which this server calls a session."""
    ids: dict[str, str] = {}
    for offset in range(0, _MAX_PROJECTS, _PROJECTS_A_PAGE):
        parameters = {"limit": str(_PROJECTS_A_PAGE), "offset": str(offset)}
        answer = await client.get(
            "/sessions", {**parameters, **({"name": wanted} if wanted else {})}
        )
        projects = objects(answer.get("data"))
        ids |= {text(one.get("name")): text(one.get("id")) for one in projects if one.get("name")}
        if len(projects) < _PROJECTS_A_PAGE:
            break
    names = chosen(ids, wanted, "LangSmith")
    return [Stream(name, _Pages(client, name, ids[name]).page) for name in names]


LANGSMITH: Final = Puller(SOURCE, langsmith_streams)


class _Pages:
    """The pages of one project."""

    def __init__(self, client: PullClient, name: str, own: str) -> None:
        self._client = client
        self._name = name
        self._id = own

    async def page(self, window: StartWindow, cursor: str) -> Page:
        """The page at a cursor."""
        body: JsonObject = {"session": [self._id], "limit": _RUNS_A_PAGE, "order": "asc"}
        if window.from_unix_ns > EVER.from_unix_ns:
            body["start_time"] = format_unix_ns(window.from_unix_ns)
        if window.to_unix_ns < EVER.to_unix_ns:
            body["filter"] = f'lt(start_time, "{format_unix_ns(window.to_unix_ns)}")'
        if cursor:
            body["cursor"] = cursor
        answer = await self._client.post("/runs/query", body)
        return page_of(
            SOURCE,
            items(answer.get("runs")),
            langsmith_draft,
            project=self._name,
            following=text(mapping(answer.get("cursors")).get("next")),
        )
