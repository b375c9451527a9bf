"""A receiver under test, seen from outside: sockets, and the files that it left."""

import http.client
import json
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import grpc
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from halo_daemon.proto.project import slugify
from halo_daemon.store.paths import DataPaths

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
LOGS_EXPORT: Final = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
METRICS_EXPORT: Final = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
TIMEOUT_S: Final = 30.0


@dataclass(frozen=True)
class HttpAnswer:
    """An HTTP answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """The content type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0]

    @property
    def is_empty_success(self) -> bool:
        """Whether it is a success that says nothing: `partial_success` unset."""
        empty = b"{}" if self.media_type == JSON else b""
        return self.status == 200 and self.body == empty

    @property
    def message(self) -> str:
        """The message of the Status body; fails where there is none."""
        if self.media_type == JSON:
            return json.loads(self.body)["message"]
        return Status.FromString(self.body).message

    @property
    def rejected(self) -> int:
        """`rejected_spans` of a success."""
        assert self.status == 200, self
        if self.media_type == JSON:
            return int(json.loads(self.body).get("partialSuccess", {}).get("rejectedSpans", 0))
        return ExportTraceServiceResponse.FromString(self.body).partial_success.rejected_spans


@dataclass(frozen=True)
class GrpcAnswer:
    """A gRPC answer; *body* is empty unless the code is OK."""

    code: grpc.StatusCode
    message: str = ""
    body: bytes = b""
    trailers: dict[str, str | bytes] = field(default_factory=dict)


class Receiver:
    """
    A receiver at *http* and *grpc* (``host:port``).

    *data* is its data directory; None for a receiver that is not ours, whose files
    cannot be looked at: what asks for stored spans then passes.
    """

    def __init__(self, *, http_address: str, grpc_address: str, data: Path | None) -> None:
        self.http_address = http_address
        self.grpc_address = grpc_address
        self.data = data
        self._channel = grpc.insecure_channel(
            grpc_address, options=[("grpc.max_send_message_length", -1)]
        )

    def close(self) -> None:
        """Close the gRPC channel."""
        self._channel.close()

    @property
    def is_ours(self) -> bool:
        """Whether its files can be looked at."""
        return self.data is not None

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> HttpAnswer:
        """One HTTP request on a connection of its own."""
        connection = http.client.HTTPConnection(self.http_address, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, body, headers or {})
            return _answer(connection.getresponse())
        finally:
            connection.close()

    def post(
        self,
        body: bytes,
        media_type: str = PROTOBUF,
        *,
        project: str = "",
        path: str = "/v1/traces",
        headers: dict[str, str] | None = None,
    ) -> HttpAnswer:
        """POST one export request."""
        sent = {"content-type": media_type, **(headers or {})}
        if project:
            sent["x-project-name"] = project
        return self.request("POST", path, body, sent)

    def export(
        self,
        body: bytes,
        *,
        project: str = "",
        method: str = EXPORT,
        compression: grpc.Compression | None = None,
        metadata: tuple[tuple[str, str], ...] = (),
    ) -> GrpcAnswer:
        """Send one export request over gRPC."""
        call = self._channel.unary_unary(method)
        if project:
            metadata = (*metadata, ("x-project-name", project))
        try:
            answer = call(body, timeout=TIMEOUT_S, metadata=metadata, compression=compression)
        except grpc.RpcError as exc:
            return GrpcAnswer(
                exc.code(), exc.details() or "", trailers=dict(exc.trailing_metadata() or ())
            )
        return GrpcAnswer(grpc.StatusCode.OK, body=answer)

    def raw(self, sent: bytes, *, answers: int = 1) -> list[HttpAnswer]:
        """Send *sent* as it is and read that many answers."""
        host, _, port = self.http_address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as connection:
            connection.sendall(sent)
            return [read_answer(connection) for _ in range(answers)]

    def connect(self) -> socket.socket:
        """A TCP connection to the HTTP port."""
        host, _, port = self.http_address.rpartition(":")
        return socket.create_connection((host, int(port)), timeout=TIMEOUT_S)

    def lines(self, project: str) -> list[bytes]:
        """Every line stored for *project*, re-deliveries included, without newlines."""
        assert self.data is not None
        paths = DataPaths(self.data).project(slugify(project))
        content = b"".join(
            day.plain(stem).read_bytes() for day in paths.days() for stem in day.stems()
        )
        assert content.endswith(b"\n") or not content
        return content.split(b"\n")[:-1]

    def spans(self, project: str) -> list[dict[str, object]]:
        """Every line stored for *project*, parsed."""
        return [json.loads(line) for line in self.lines(project)]


def _answer(response: http.client.HTTPResponse) -> HttpAnswer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    return HttpAnswer(response.status, headers, response.read())


def read_answer(connection: socket.socket) -> HttpAnswer:
    """Read one answer off *connection* and not a byte more."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            raise ConnectionError(f"closed after {head!r}")
        head += byte
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines if line)
    }
    body = b""
    length = int(headers.get("content-length", "0"))
    while len(body) < length:
        body += connection.recv(length - len(body))
    return HttpAnswer(int(status_line.split()[1]), headers, body)
