"""Exporters as people use them; the other languages are in ``tests/interop``."""

import time

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.conformance.conftest import daemon_in, receiver_of

SPANS = 50
SDK_PATIENCE_S = 20.0
"""How long the SDKs try at least; they wait 1, 2, 4, 8 and 16 s, each a fifth more or less."""


def _exporter(receiver, kind, *, gzip, project, timeout_s=60):
    if kind == "grpc":
        return GrpcExporter(
            f"http://{receiver.grpc_address}",
            insecure=True,
            timeout=timeout_s,
            compression=grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression,
            headers=(("x-project-name", project),),
        )
    return HttpExporter(
        f"http://{receiver.http_address}/v1/traces",
        timeout=timeout_s,
        compression=Compression.Gzip if gzip else Compression.NoCompression,
        headers={"x-project-name": project},
    )


def _send(exporter) -> list[str]:
    """End spans one after the other; their ids, once the exporter said that all were sent."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("conformance")
    ids = []
    for number in range(SPANS):
        with tracer.start_as_current_span(f"step {number}") as span:
            ids.append(f"{span.get_span_context().span_id:016x}")
    assert provider.force_flush()
    provider.shutdown()
    return ids


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("kind", ["grpc", "http"])
def test_c18_real_exporters_send_without_a_warning(receiver, project, caplog, kind, gzip):
    """Every span of a real SDK arrives, and its exporter has nothing to complain about."""
    ids = _send(_exporter(receiver, kind, gzip=gzip, project=project))

    assert [each.message for each in caplog.records if each.levelname != "DEBUG"] == []
    if receiver.is_ours:
        assert sorted(span["span_id"] for span in receiver.spans(project)) == sorted(ids)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["grpc", "http"])
def test_c18_exporters_carry_their_spans_over_a_restart(tmp_path, project, kind):
    """A daemon that is killed and started again on its ports misses none of them."""
    daemon = daemon_in(tmp_path)
    daemon.start()
    addresses = ("--grpc", daemon.grpc, "--http", daemon.http)
    exporter = _exporter(receiver_of(daemon), kind, gzip=False, project=project, timeout_s=120)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=200))
    tracer = provider.get_tracer("conformance")
    tracer.start_span("before").end()
    assert provider.force_flush()
    daemon.kill()
    tracer.start_span("while it is away").end()

    began_s = time.monotonic()
    with daemon_in(tmp_path, None, *addresses) as again:
        if time.monotonic() - began_s > SDK_PATIENCE_S:
            provider.shutdown()
            pytest.skip("the daemon took longer to start than the SDK tries again")
        tracer.start_span("after").end()
        assert provider.force_flush(120_000)
        seen = receiver_of(again)
        names = sorted(str(span["name"]) for span in seen.spans(project))
        seen.close()
    provider.shutdown()

    assert names == ["after", "before", "while it is away"]
