"""Servers that page, limit, break off and answer nonsense, on real sockets."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from halo_daemon.errors import ConfigError
from halo_daemon.exchange.import_batches import ImportSummary, StartWindow
from halo_daemon.exchange.import_state import ImportState
from halo_daemon.exchange.pull_client import Patience, PullClient, PullError
from halo_daemon.exchange.pull_servers import PULLERS, credentials
from halo_daemon.exchange.pulls import MARGIN_NS, PullImport
from halo_daemon.testing.memory_sink import MemorySink
from halo_daemon.testing.spans import TRACE_ID, span_id_of
from halo_daemon.testing.webhook_server import Answer, Received, WebhookServer

NOW_UNIX_NS = 1_767_225_600 * 10**9
HASTY = Patience(attempts=4, first_wait_s=0.0, timeout_s=5.0)


def answer(value: object, status: int = 200, **headers: str) -> Answer:
    """A JSON answer."""
    return Answer(status, {"content-type": "application/json", **headers}, orjson.dumps(value))


NOT_THERE = answer({"detail": "Not Found"}, 404)


def asked(request: Received) -> tuple[str, Mapping[str, str]]:
    """The path and the parameters that were asked for."""
    parts = urlsplit(request.request_line.split(" ")[1])
    return parts.path, {key: values[0] for key, values in parse_qs(parts.query).items()}


class Pulls:
    """Pulls into one memory, with one state."""

    def __init__(self, path: Path) -> None:
        self.sink = MemorySink()
        self._path = path

    async def run(
        self, source: str, server: WebhookServer, *, now_unix_ns: int = NOW_UNIX_NS, **options
    ) -> ImportSummary:
        """Pull as a new process would."""
        client = PullClient(
            f"http://127.0.0.1:{server.port}",
            now_unix_ns=lambda: now_unix_ns,
            headers={"authorization": "Bearer k"},
            patience=HASTY,
        )
        try:
            return await PullImport(
                puller=PULLERS[source],
                client=client,
                accept=self.sink.accept,
                now_unix_ns=now_unix_ns,
                state=ImportState(self._path / "imports.jsonl"),
                **options,
            ).run()
        finally:
            await client.aclose()


def phoenix_span(number: int) -> dict[str, object]:
    """One span in Phoenix's own shape."""
    return {
        "name": "chat",
        "context": {"trace_id": TRACE_ID, "span_id": span_id_of(number)},
        "span_kind": "LLM",
        "start_time": "2025-12-01T00:00:00Z",
        "end_time": "2025-12-01T00:00:01Z",
        "status_code": "OK",
        "attributes": {"llm": {"model_name": "m"}},
    }


def otlp_span(number: int) -> dict[str, object]:
    """One span in OTLP's shape."""
    return {
        "traceId": TRACE_ID,
        "spanId": span_id_of(number),
        "name": "chat",
        "startTimeUnixNano": "1764547200000000000",
        "endTimeUnixNano": "1764547201000000000",
        "attributes": [{"key": "openinference.span.kind", "value": {"stringValue": "LLM"}}],
    }


PROJECTS = answer({"data": [{"id": "UHJvamVjdDox", "name": "my/agent"}], "next_cursor": None})


async def test_phoenix_pages_are_pulled_in_spite_of_everything(tmp_path):
    """A limit, a broken connection, an error and garbage cost patience and no span."""
    server = WebhookServer(
        answers=[
            PROJECTS,
            answer({"data": [otlp_span(1)], "next_cursor": "c2"}),
            answer({}, 429, **{"retry-after": "0"}),
            Answer(drops=True),
            Answer(200, {}, b'{"data": [tor'),
            answer({"data": [otlp_span(2), {"traceId": "bad"}], "next_cursor": None}),
        ]
    )
    pulls = Pulls(tmp_path)
    async with server.listening():
        summary = await pulls.run("phoenix", server)

    slug = next(iter(summary.projects))
    spans = pulls.sink.spans(slug)
    assert slug.startswith("my-agent")
    assert [span.span_id for span in spans] == [span_id_of(1), span_id_of(2)]
    assert [span.observation_kind for span in spans] == ["LLM", "LLM"]
    assert summary.rejected_spans == 1
    path, parameters = asked(server.received[-1])
    assert path == "/v1/projects/UHJvamVjdDox/spans/otlpv1"
    assert (parameters["cursor"], parameters["limit"]) == ("c2", "1000")
    assert server.received[-1].headers["authorization"] == "Bearer k"


async def test_an_older_phoenix_gives_its_own_shape(tmp_path):
    """Without the OTLP path the spans come from the path beside it."""
    server = WebhookServer(
        answers=[NOT_THERE, NOT_THERE, answer({"data": [phoenix_span(1), 7], "next_cursor": None})]
    )
    pulls = Pulls(tmp_path)
    async with server.listening():
        summary = await pulls.run("phoenix", server, server_project="shop")

    (span,) = pulls.sink.spans("shop")
    assert (span.model, span.observation_kind) == ("m", "LLM")
    assert summary.skipped == {"not a span": 1}
    assert asked(server.received[-1])[0] == "/v1/projects/shop/spans"


async def test_a_pull_that_broke_off_goes_on_in_its_window(tmp_path):
    """Resuming begins at the noted cursor, with the bounds that the cursor belongs to."""
    pulls = Pulls(tmp_path)
    window = StartWindow(5 * 10**9, NOW_UNIX_NS)
    server = WebhookServer(
        answers=[PROJECTS, answer({"data": [otlp_span(1)], "next_cursor": "c2"}), answer({}, 403)]
    )
    async with server.listening():
        with pytest.raises(PullError, match="403"):
            await pulls.run("phoenix", server, window=window)
        server.answers += [PROJECTS, answer({"data": [otlp_span(2)], "next_cursor": None})]
        later = NOW_UNIX_NS + 10**15
        await pulls.run("phoenix", server, resume=True, now_unix_ns=later)
        broken, resumed = asked(server.received[2])[1], asked(server.received[4])[1]
        server.answers += [PROJECTS, answer({"data": [], "next_cursor": None})]
        await pulls.run("phoenix", server, resume=True, now_unix_ns=later)

    assert resumed == broken
    assert resumed["cursor"] == "c2"
    begin = asked(server.received[6])[1]["start_time"]
    assert begin == "2025-12-31T23:45:00.000000000Z"
    assert "cursor" not in asked(server.received[6])[1]


async def test_pulling_twice_stores_the_same_lines(tmp_path):
    """The same pages give the same lines: nothing counts twice."""
    pages = [PROJECTS, answer({"data": [otlp_span(1)], "next_cursor": None})]
    server = WebhookServer(answers=pages * 2)
    pulls = Pulls(tmp_path)
    async with server.listening():
        await pulls.run("phoenix", server, project="p")
        await pulls.run("phoenix", server, project="p")

    first, second = pulls.sink.lines("p").splitlines()
    assert first == second


def observation(number: int, **fields: object) -> dict[str, object]:
    """One observation of Langfuse."""
    return {
        "id": f"o{number}",
        "traceId": "t",
        "type": "GENERATION",
        "startTime": "2025-12-01T00:00:00Z",
        "endTime": "2025-12-01T00:00:01Z",
        **fields,
    }


async def test_a_new_langfuse_is_asked_by_cursor_with_all_fields(tmp_path):
    """Cut metadata is asked for again, whole; what is too new is left for the next time."""
    cut, whole = {"note": "x" * 200, "k": "v"}, {"note": "x" * 900, "k": "v"}
    server = WebhookServer(
        answers=[
            answer({"status": "OK", "version": "4.1.0"}),
            answer({"data": [observation(1, metadata=cut)], "meta": {"cursor": "c2"}}),
            answer({"data": [observation(1, metadata=whole)], "meta": {"cursor": "c2"}}),
            answer({"data": [observation(2)], "meta": {}}),
        ]
    )
    pulls = Pulls(tmp_path)
    async with server.listening():
        await pulls.run("langfuse", server)

    first, second = pulls.sink.spans("langfuse")
    assert first.text("metadata").count("x") == 900
    assert second.observation_kind == "LLM"
    path, parameters = asked(server.received[1])
    assert path == "/api/public/v2/observations"
    assert {"core", "io", "usage", "trace_context"} <= set(parameters["fields"].split(","))
    assert parameters["toStartTime"] == "2025-12-31T23:45:00.000000000Z"
    assert asked(server.received[2])[1]["expandMetadata"] == "note"
    assert asked(server.received[3])[1]["cursor"] == "c2"
    assert MARGIN_NS == 15 * 60 * 10**9


async def test_an_older_langfuse_is_asked_by_page_number(tmp_path):
    """Sessions and users come from the traces, which that API lists apart."""
    trace = {"id": "t", "sessionId": "s", "userId": "u", "name": "chat"}
    server = WebhookServer(
        answers=[
            answer({"status": "OK", "version": "3.2.1"}),
            answer({"data": [trace], "meta": {"page": 1, "totalPages": 1}}),
            answer({"data": [observation(1)], "meta": {"page": 1, "totalPages": 2}}),
            answer({"data": [observation(2)], "meta": {"page": 2, "totalPages": 2}}),
        ]
    )
    pulls = Pulls(tmp_path)
    async with server.listening():
        await pulls.run("langfuse", server, project="p")

    assert [(span.session_id, span.user_id) for span in pulls.sink.spans("p")] == [("s", "u")] * 2
    assert [asked(one)[1].get("page") for one in server.received] == [None, "1", "1", "2"]


async def test_a_langfuse_without_the_api_of_its_version_is_asked_by_the_other(tmp_path):
    """A path that is gone is no end."""
    server = WebhookServer(
        answers=[
            answer({"version": "3.9.0"}),
            answer({"message": "removed"}, 410),
            answer({"data": [observation(1)], "meta": {}}),
        ]
    )
    pulls = Pulls(tmp_path)
    async with server.listening():
        summary = await pulls.run("langfuse", server)

    assert summary.accepted_spans == 1


async def test_langsmith_runs_are_pulled_by_project(tmp_path):
    """Projects are found by name, runs by the project's id and a cursor in the body."""
    run = {
        "id": "r1",
        "trace_id": "r1",
        "run_type": "chain",
        "name": "chain",
        "start_time": "2025-12-01T00:00:00",
        "end_time": "2025-12-01T00:00:01",
    }
    server = WebhookServer(
        answers=[
            answer([{"id": "p-1", "name": "shop"}]),
            answer({"runs": [run], "cursors": {"next": "c2"}}),
            answer({"runs": [{**run, "id": "r2", "parent_run_id": "r1"}], "cursors": {}}),
        ]
    )
    pulls = Pulls(tmp_path)
    async with server.listening():
        await pulls.run("langsmith", server, server_project="shop")

    root, child = pulls.sink.spans("shop")
    assert child.parent_span_id == root.span_id
    bodies = [orjson.loads(one.body) for one in server.received[1:]]
    assert [body.get("cursor") for body in bodies] == [None, "c2"]
    assert bodies[0]["session"] == ["p-1"]


async def test_a_server_that_never_answers_well_is_given_up(tmp_path):
    """Attempts are bounded; the message names the request and the last reason."""
    server = WebhookServer(answers=[Answer(503)] * 10)
    async with server.listening():
        with pytest.raises(PullError, match=r"/v1/projects gave status 503 in 4 attempts"):
            await Pulls(tmp_path).run("phoenix", server)

    assert len(server.received) == 4


async def test_a_key_does_not_follow_a_redirect_to_another_host(tmp_path):
    """A redirect elsewhere is refused before anything is sent there."""
    server = WebhookServer(answers=[Answer(302, {"location": "http://localhost:1/v1/projects"})])
    async with server.listening():
        with pytest.raises(PullError, match="where the key must not go"):
            await Pulls(tmp_path).run("phoenix", server)


async def test_a_cursor_that_does_not_move_ends_the_pull(tmp_path):
    """A server that gives the same cursor for ever is left after it did so once."""
    page = answer({"data": [otlp_span(1)], "next_cursor": "same"})
    server = WebhookServer(answers=[PROJECTS, page, page, page])
    async with server.listening():
        await Pulls(tmp_path).run("phoenix", server)

    assert len(server.received) == 3


async def test_a_project_that_is_not_there_is_told(tmp_path):
    """The message counts the projects, the hint names them."""
    server = WebhookServer(answers=[PROJECTS])
    async with server.listening():
        with pytest.raises(ConfigError, match="`nope`") as caught:
            await Pulls(tmp_path).run("phoenix", server, server_project="nope")

    assert "my/agent" in caught.value.hint


@pytest.mark.parametrize("endpoint", ["", "localhost", "ftp://x", "http://", "http://[::"])
def test_what_is_no_address_is_told(endpoint):
    """Nothing is asked of an endpoint that is none."""
    with pytest.raises(PullError, match="cannot pull from"):
        PullClient(endpoint, now_unix_ns=lambda: 0)


def test_keys_come_from_the_variables_of_each_tool():
    """Each server gets its own form; half a pair is an error."""
    pair = {"LANGFUSE_PUBLIC_KEY": "a", "LANGFUSE_SECRET_KEY": "b"}
    assert credentials("phoenix", {"PHOENIX_API_KEY": "k"}) == {"authorization": "Bearer k"}
    assert credentials("langfuse", pair) == {"authorization": "Basic YTpi"}
    assert credentials("langsmith", {"LANGSMITH_API_KEY": "k"}) == {"x-api-key": "k"}
    assert credentials("phoenix", {}) == {}
    with pytest.raises(ConfigError, match="only one"):
        credentials("langfuse", {"LANGFUSE_PUBLIC_KEY": "a"})
