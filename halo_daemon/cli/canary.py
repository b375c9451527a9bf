"""
``halo-daemon canary``: known spans in through the port, and out through the store.

For cron: the exit status is 0 only when every span came back as it was sent.
"""

import json
import secrets
import time
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from halo_daemon.cli import exit_codes
from halo_daemon.cli.options import ConfigOption, DataOption, JsonOption, load_config
from halo_daemon.errors import UnreachableError

if TYPE_CHECKING:
    from halo_daemon.config import Config
    from halo_daemon.proto.trace import Trace

PROJECT = "halo-canary"

_SPANS_PER_TRACE = 3
_TIMEOUT_S = 10.0
_MILLIS = 1000.0
_OK = 200

TracesOption = Annotated[
    int,
    typer.Option("--traces", metavar="N", min=1, max=1000, help="Traces of three spans to send."),
]
KeyOption = Annotated[
    str,
    typer.Option("--key", envvar="HALO_DAEMON_INGEST_KEY", help="Ingest key.", show_default=False),
]


class Outcome(NamedTuple):
    """What became of the spans of one run."""

    sent: int
    acknowledged: int
    """Spans of requests that were answered with success."""

    read_back: int
    """Spans that the store gave back as they were sent."""

    slowest_ms: float
    """The slowest acknowledgement."""

    @property
    def error_ratio(self) -> float:
        """The share of spans that did not come back, 0 to 1."""
        return 1 - self.read_back / self.sent


class _Trace(NamedTuple):
    """One trace to send, with the text that its spans carry."""

    trace_id: str
    span_ids: list[str]
    token: str


def canary(
    ctx: typer.Context,
    *,
    traces: TracesOption = 10,
    key: KeyOption = "",
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """
    Send known spans to the running daemon, read them back, compare.

    Exits 1 when a span did not come back as it was sent, 5 when the daemon does not answer.
    """
    settings = load_config(ctx, config=config, data=data)
    try:
        outcome = run(settings, traces=traces, key=key)
    except OSError as exc:
        endpoint = settings.receivers.otlp.http.endpoint
        raise UnreachableError(
            f"cannot send known spans: no answer at {endpoint.host}:{endpoint.port}:"
            f" {exc.strerror or exc}",
            hint="start `halo-daemon serve`, or name its port in `receivers.otlp.http.endpoint`",
        ) from exc
    if as_json:
        fields = {**outcome._asdict(), "error_ratio": outcome.error_ratio}
        print(json.dumps({"schema": "halo.canary/v1", **fields}))
    else:
        print(
            f"{outcome.read_back} of {outcome.sent} spans came back, "
            f"{outcome.acknowledged} were acknowledged, error ratio {outcome.error_ratio:.4f}, "
            f"slowest acknowledgement {outcome.slowest_ms:.0f} ms"
        )
    if outcome.error_ratio:
        raise typer.Exit(exit_codes.FAILED)


def run(config: "Config", *, traces: int, key: str = "") -> Outcome:
    """
    Send *traces* traces and look for every span of them.

    Raises:
        OSError: The daemon does not answer.
    """
    sent = [_new_trace() for _ in range(traces)]
    acknowledged = 0
    slowest_ms = 0.0
    for trace in sent:
        begin_s = time.monotonic()
        acknowledged += _SPANS_PER_TRACE * _post(config, trace, key)
        slowest_ms = max(slowest_ms, (time.monotonic() - begin_s) * _MILLIS)
    return Outcome(
        sent=traces * _SPANS_PER_TRACE,
        acknowledged=acknowledged,
        read_back=_read_back(config, sent),
        slowest_ms=round(slowest_ms, 3),
    )


def _new_trace() -> _Trace:
    span_ids = [secrets.token_hex(8) for _ in range(_SPANS_PER_TRACE)]
    return _Trace(secrets.token_hex(16), span_ids, secrets.token_hex(16))


def _post(config: "Config", trace: _Trace, key: str) -> bool:
    from halo_daemon.cli.own_endpoint import connection_to

    connection = connection_to(config, timeout_s=_TIMEOUT_S)
    headers = {"content-type": "application/json", "x-project-name": PROJECT}
    if key:
        headers["authorization"] = f"Bearer {key}"
    try:
        connection.request("POST", "/v1/traces", json.dumps(_request(trace)), headers)
        return connection.getresponse().status == _OK
    finally:
        connection.close()


def _request(trace: _Trace) -> dict[str, object]:
    now_unix_ns = time.time_ns()
    spans = [
        {
            "traceId": trace.trace_id,
            "spanId": span_id,
            "parentSpanId": trace.span_ids[0] if place else "",
            "name": "canary",
            "kind": 1,
            "startTimeUnixNano": str(now_unix_ns),
            "endTimeUnixNano": str(now_unix_ns + place),
            "attributes": [{"key": "canary.token", "value": {"stringValue": trace.token}}],
        }
        for place, span_id in enumerate(trace.span_ids)
    ]
    return {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}


def _read_back(config: "Config", sent: list[_Trace]) -> int:
    from halo_daemon.errors import UnknownProjectError
    from halo_daemon.store.reader import LocalTraceReader

    try:
        reader = LocalTraceReader(config.data.dir, PROJECT, settle_s=0.0, now_unix_ns=time.time_ns)
    except UnknownProjectError:
        return 0
    try:
        return sum(_found(reader.load_trace(trace.trace_id), trace) for trace in sent)
    finally:
        reader.close()


def _found(stored: "Trace | None", trace: _Trace) -> int:
    if stored is None:
        return 0
    right = {span.span_id for span in stored.spans if span.text("canary.token") == trace.token}
    return len(right & set(trace.span_ids))
