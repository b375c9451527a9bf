"""The golden lines once more, through the sockets of the real daemon."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from halo_daemon.testing.daemon import DaemonProcess
from tests.conformance.receiver import JSON, Receiver
from tests.conformance.requests import as_json
from tests.unit.proto.semconv.golden_dialects import DIALECTS, dialect

GOLDEN = Path(__file__).parents[1] / "golden" / "proto"
Send = Callable[[Receiver, ExportTraceServiceRequest, str], object]


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A running daemon."""
    directory = tmp_path_factory.mktemp("golden")
    environ = {
        "HALO_DAEMON__STORAGE__MIN_FREE": "1MiB",
        "HALO_DAEMON__PROJECTS__MAX_AUTO_CREATED": "1000",
    }
    with DaemonProcess(directory / "data", environ=environ) as daemon:
        seen = Receiver(http_address=daemon.http, grpc_address=daemon.grpc, data=daemon.data)
        yield seen
        seen.close()


def grpc(receiver: Receiver, request: ExportTraceServiceRequest, project: str) -> object:
    """Over gRPC."""
    return receiver.export(request.SerializeToString(), project=project)


def http_protobuf(receiver: Receiver, request: ExportTraceServiceRequest, project: str) -> object:
    """Over HTTP as protobuf."""
    return receiver.post(request.SerializeToString(), project=project)


def http_json(receiver: Receiver, request: ExportTraceServiceRequest, project: str) -> object:
    """Over HTTP as JSON."""
    return receiver.post(as_json(request), JSON, project=project)


@pytest.mark.parametrize("send", [grpc, http_protobuf, http_json], ids=lambda send: send.__name__)
def test_what_is_stored_are_the_golden_lines(receiver: Receiver, send: Send) -> None:
    """Every dialect stands in its shard as the reviewed lines, whichever way it came."""
    for name in sorted(DIALECTS):
        project = f"{send.__name__}-{name}".replace("_", "-")

        send(receiver, dialect(name), project)

        golden = (GOLDEN / f"dialect_{name}.jsonl").read_bytes()
        own = golden.replace(
            b'"inference.project_id":"default"', f'"inference.project_id":"{project}"'.encode()
        )
        assert receiver.lines(project) == own.splitlines(), name
