"""The exporters against real sockets."""

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from halo_daemon.demo.agents import AGENTS, generate
from halo_daemon.demo.export import export
from halo_daemon.errors import DeliveryError
from halo_daemon.quantities import Endpoint

NOW_UNIX_NS = 1_790_000_000 * 10**9


def _count(request: ExportTraceServiceRequest) -> int:
    return sum(
        len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans
    )


class _TraceService(TraceServiceServicer):
    def __init__(self) -> None:
        self.spans = 0

    def Export(self, request, _context):  # noqa: N802 -- the service's name for it
        self.spans += _count(request)
        return ExportTraceServiceResponse()


class _HttpReceiver(ThreadingHTTPServer):
    spans = 0
    status = 200


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        assert isinstance(self.server, _HttpReceiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.spans += _count(ExportTraceServiceRequest.FromString(gzip.decompress(body)))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def grpc_receiver():
    """A gRPC receiver that counts spans, and its address."""
    service, server = _TraceService(), grpc.server(ThreadPoolExecutor(1))
    add_TraceServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield service, Endpoint("127.0.0.1", port)
    server.stop(0).wait()


@pytest.fixture
def http_receiver():
    """An HTTP receiver that counts spans and answers with the status of its choice."""
    server = _HttpReceiver(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server, Endpoint("127.0.0.1", server.server_port)
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_span_is_acknowledged(grpc_receiver, http_receiver):
    """Over both transports, what was sent is what arrived, and the counts say so."""
    service, grpc_endpoint = grpc_receiver
    server, http_endpoint = http_receiver
    runs = [generate(agent, now_unix_ns=NOW_UNIX_NS, traces=8) for agent in AGENTS]

    exported = export(runs, grpc=grpc_endpoint, http=http_endpoint)

    sent = {"http": 0, "grpc": 0}
    for entry in exported:
        sent[entry.transport] += entry.spans
    assert sent == {"http": server.spans, "grpc": service.spans}
    assert sum(sent.values()) == sum(len(run.spans) for run in runs)
    assert min(sent.values()) > 0


def test_a_refused_request_is_not_passed_over(http_receiver):
    """An export that is not acknowledged raises and names the agent."""
    server, endpoint = http_receiver
    server.status = 400
    run = generate(AGENTS[0], now_unix_ns=NOW_UNIX_NS, traces=2)

    with pytest.raises(DeliveryError, match=r"cannot export \d+ spans of support-bot over http"):
        export([run], grpc=endpoint, http=endpoint)


def test_a_proxy_in_the_environment_is_not_used(http_receiver, monkeypatch):
    """Two processes of one machine need no proxy."""
    server, endpoint = http_receiver
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    run = generate(AGENTS[0], now_unix_ns=NOW_UNIX_NS, traces=2)

    export([run], grpc=endpoint, http=endpoint, timeout_s=5.0)

    assert server.spans == len(run.spans)
