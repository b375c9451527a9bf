"""Sends the sample agents' spans through the OpenTelemetry exporters, as any agent would."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import requests
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from halo_daemon.demo.agents import Generated
from halo_daemon.demo.support_bot import SUPPORT_BOT
from halo_daemon.errors import DeliveryError
from halo_daemon.quantities import Endpoint

_SPANS_PER_REQUEST = 512
_OVER_HTTP = frozenset({SUPPORT_BOT.name})


class Exported(NamedTuple):
    """What one agent sent, all of it acknowledged."""

    project: str
    transport: str
    traces: int
    spans: int


def export(
    runs: Iterable[Generated], *, grpc: Endpoint, http: Endpoint, timeout_s: float = 30.0
) -> tuple[Exported, ...]:
    """
    Send every span, some agents over gRPC and some over HTTP.

    Blocks until everything is acknowledged, and leaves no connection open. One request
    may take *timeout_s*, the exporter's own retries included.

    Raises:
        DeliveryError: a request was not acknowledged; it names the agent and the address.
    """
    exported = []
    for run in runs:
        transport = "http" if run.agent.name in _OVER_HTTP else "grpc"
        endpoint = http if transport == "http" else grpc
        exporter = _EXPORTERS[transport](endpoint, timeout_s)
        try:
            _send(run.spans, exporter, f"{run.agent.name} over {transport} to {endpoint}")
        finally:
            exporter.shutdown()
        exported.append(Exported(run.agent.name, transport, len(run.trace_ids), len(run.spans)))
    return tuple(exported)


def _send(spans: Sequence[ReadableSpan], exporter: SpanExporter, what: str) -> None:
    for first in range(0, len(spans), _SPANS_PER_REQUEST):
        batch = spans[first : first + _SPANS_PER_REQUEST]
        if exporter.export(batch) is not SpanExportResult.SUCCESS:
            raise DeliveryError(
                f"cannot export {len(batch)} spans of {what}: {first} of {len(spans)} acknowledged",
                hint="see the daemon's log for why it refused them",
            )


def _grpc_exporter(endpoint: Endpoint, timeout_s: float) -> SpanExporter:
    return GrpcExporter(
        endpoint=f"http://{endpoint}",
        insecure=True,
        timeout=timeout_s,
        # A proxy from the environment has no business between two processes of one machine.
        channel_options=(("grpc.enable_http_proxy", 0),),  # type: ignore[arg-type]
    )


def _http_exporter(endpoint: Endpoint, timeout_s: float) -> SpanExporter:
    session = requests.Session()
    session.trust_env = False
    return HttpExporter(
        endpoint=f"http://{endpoint}/v1/traces",
        timeout=timeout_s,
        compression=Compression.Gzip,
        session=session,
    )


_EXPORTERS: Mapping[str, Callable[[Endpoint, float], SpanExporter]] = {
    "grpc": _grpc_exporter,
    "http": _http_exporter,
}
