"""``halo-daemon send``: test spans, or those of a file, to an OTLP endpoint."""

import asyncio
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halo_daemon.cli import exit_codes
from halo_daemon.cli.options import ConfigOption, DataOption, header_of, load_config
from halo_daemon.cli.output import print_note
from halo_daemon.errors import ConfigError, DeliveryError, UnreachableError

if TYPE_CHECKING:
    from halo_daemon.config import Config
    from halo_daemon.proto.batch import SpanBatch
    from halo_daemon.proto.json_value import JsonObject

PROJECT = "halo-send"
_WAIT_S = 10.0
_POLL_S = 0.1


def send(
    ctx: typer.Context,
    *,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", metavar="FILE", help="Spans of this file, of any source of `import`."
        ),
    ] = None,
    endpoint: Annotated[
        str, typer.Option("--endpoint", metavar="URL", help="OTLP/HTTP; else our own daemon.")
    ] = "",
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", metavar="'N: V'", help="Sent along.")
    ] = None,
    key: Annotated[
        str,
        typer.Option(
            "--key", envvar="HALO_DAEMON_INGEST_KEY", help="Ingest key.", show_default=False
        ),
    ] = "",
    wait: Annotated[
        bool, typer.Option("--wait", help="Until test spans are found in the data directory.")
    ] = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Send three test spans, or those of a file; exits 5 when nobody listens."""
    settings = load_config(ctx, config=config, data=data)
    if wait and (file or endpoint):
        raise ConfigError(
            "--wait looks for test spans in our own store: it goes with no --file or --endpoint",
            hint="leave one out",
        )
    headers = dict(map(header_of, header or ()))
    if key:
        headers["authorization"] = f"Bearer {key}"
    trace_id = secrets.token_hex(16)
    if file is None:
        spans: Sequence[JsonObject] = list(_test_spans(trace_id))
        headers.setdefault("x-project-name", PROJECT)
    else:
        spans = asyncio.run(_spans_of(file))
    began_s = time.monotonic()
    sent, rejected = _post(spans, endpoint or _own(settings), headers)
    took_ms = (time.monotonic() - began_s) * 1000
    print(f"sent {sent} spans in {took_ms:.0f} ms, {rejected} of them refused")
    if wait:
        _await_stored(settings, trace_id)
    if rejected:
        raise typer.Exit(exit_codes.FAILED)


def _post(spans: "Sequence[JsonObject]", endpoint: str, headers: dict[str, str]) -> tuple[int, int]:
    import httpx2

    from halo_daemon.exchange.post_spans import post_spans

    try:
        return post_spans(spans, endpoint=endpoint, headers=headers)
    except DeliveryError as exc:
        if not isinstance(exc.__cause__, httpx2.TransportError):
            raise
        raise UnreachableError(str(exc), hint=exc.hint) from exc


def _own(settings: "Config") -> str:
    """Where our own daemon listens, as seen from this machine."""
    from halo_daemon.cli.own_endpoint import host_of

    otlp = settings.receivers.otlp
    if otlp.tls.pair is not None:
        raise ConfigError(
            "cannot send to our own listener: it speaks TLS",
            hint="name it with --endpoint https://HOST:PORT, as others see it",
        )
    host = host_of(settings)
    return f"http://{f'[{host}]' if ':' in host else host}:{otlp.http.endpoint.port}"


def _test_spans(trace_id: str) -> "Iterator[JsonObject]":
    from halo_daemon.proto.times import format_unix_ns

    root, now_unix_ns = secrets.token_hex(8), time.time_ns()
    for place, (name, kind) in enumerate(
        (("test run", "AGENT"), ("test call", "LLM"), ("test tool", "TOOL"))
    ):
        yield {
            "trace_id": trace_id,
            "span_id": secrets.token_hex(8) if place else root,
            "parent_span_id": root if place else "",
            "trace_state": "",
            "name": name,
            "kind": "SPAN_KIND_INTERNAL",
            "start_time": format_unix_ns(now_unix_ns + place),
            "end_time": format_unix_ns(now_unix_ns + 10 - place),
            "status": {"code": "STATUS_CODE_OK", "message": ""},
            "resource": {"attributes": {"service.name": PROJECT}},
            "scope": {"name": "halo-daemon", "version": ""},
            "attributes": {"openinference.span.kind": kind},
        }


async def _spans_of(file: Path) -> "list[JsonObject]":
    """The spans of a file, as an import would store them."""
    import orjson

    from halo_daemon.exchange.imports import AUTO, Import, files_below

    found: list[JsonObject] = []

    async def take(batches: "Sequence[SpanBatch]") -> None:
        for batch in batches:
            found.extend(orjson.loads(line) for line in bytes(batch.lines).split(b"\n")[:-1])

    summary = await Import(source=AUTO, accept=take).run(files_below([file]))
    for reason, count in summary.skipped.most_common():
        print_note(f"skipped {count}: {reason} (first: {summary.examples.get(reason, '')})")
    if not found:
        raise ConfigError(f"cannot send {file}: no spans in it", hint="halo-daemon import --help")
    return found


def _await_stored(settings: "Config", trace_id: str) -> None:
    """Wait until a reader of the data directory sees the test spans."""
    from halo_daemon.errors import UnknownProjectError
    from halo_daemon.store.reader import LocalTraceReader

    deadline = time.monotonic() + _WAIT_S
    root = settings.data.dir
    while time.monotonic() < deadline:
        try:
            reader = LocalTraceReader(root, PROJECT, settle_s=0.0, now_unix_ns=time.time_ns)
        except UnknownProjectError:
            time.sleep(_POLL_S)
            continue
        try:
            trace = reader.load_trace(trace_id)
        finally:
            reader.close()
        if trace is not None:
            print(f"stored in project {PROJECT} of {root}: {len(trace.spans)} spans of {trace_id}")
            return
        time.sleep(_POLL_S)
    raise DeliveryError(
        f"the test spans were accepted, and are not in {root} after {_WAIT_S:.0f} s",
        hint="does the daemon run with this --data and --config?",
    )
