"""The OpenTelemetry Collector in front of the daemon, and the daemon in its absence."""

import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from halo_daemon.testing.daemon import DaemonProcess
from tests.conformance.conftest import daemon_in, receiver_of
from tests.conformance.receiver import PROTOBUF, Receiver
from tests.conformance.requests import base_span, body_of, new_span_id
from tests.interop.conftest import free_address
from tests.interop.test_go import refusing_count

GRPC, HTTP = "otlp_grpc", "otlp_http"
TIMEOUT_S = 60.0


class Collector:
    """A Collector that forwards what it is sent over OTLP."""

    def __init__(self, program: Path, directory: Path, exporter: str) -> None:
        self._program = program
        self._directory = directory
        self._http = free_address()
        self._log = directory / "collector.log"
        queue = directory / "queue"
        queue.mkdir(exist_ok=True)
        self._config = directory / "collector.yaml"
        self._config.write_text(
            f"""
receivers: {{otlp: {{protocols: {{http: {{endpoint: "{self._http}"}}}}}}}}
extensions: {{file_storage: {{directory: "{queue}", fsync: true}}}}
exporters: {{{exporter}}}
service:
  extensions: [file_storage]
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{traces: {{receivers: [otlp], exporters: [{exporter.partition(":")[0]}]}}}}
""",
            encoding="utf-8",
        )

    @contextmanager
    def running(self):
        """Run it, and end it as a crash would."""
        with self._log.open("ab") as log:
            command = [str(self._program), "--config", str(self._config)]
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            eventually(lambda: self._answers() or process.poll() is not None)
            assert process.poll() is None, self.log
            yield self
        finally:
            process.kill()
            process.wait()

    @property
    def log(self) -> str:
        """What it said."""
        return self._log.read_text(encoding="utf-8")

    def _answers(self) -> bool:
        try:
            return self.send() == []
        except OSError:
            return False

    def send(self, *ids: str) -> list[str]:
        """Hand spans to the Collector; it said that it has them."""
        seen = Receiver(http_address=self._http, grpc_address=self._http, data=None)
        body = body_of(*(base_span(span_id=bytes.fromhex(span_id)) for span_id in ids))
        answer = seen.request("POST", "/v1/traces", body, {"Content-Type": PROTOBUF})
        seen.close()
        assert answer.status == 200, answer
        return list(ids)


def eventually(is_true) -> None:
    """Wait until *is_true*; fails after a minute."""
    deadline = time.monotonic() + TIMEOUT_S
    while not is_true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.1)


def _exporter(kind: str, daemon: DaemonProcess, **settings: object) -> str:
    """An exporter of the Collector, in YAML's flow style, that sends to *daemon*."""
    endpoint = daemon.grpc if kind == GRPC else f"http://{daemon.http}"
    fields = {
        "endpoint": f'"{endpoint}"',
        "tls": "{insecure: true}",
        "headers": "{x-project-name: from-collector}",
        "retry_on_failure": "{initial_interval: 200ms, max_interval: 1s}",
        **settings,
    }
    return f"{kind}: {{{', '.join(f'{name}: {value}' for name, value in fields.items())}}}"


def _stored(receiver: Receiver) -> list[str]:
    return sorted(str(span["span_id"]) for span in receiver.spans("from-collector"))


@pytest.mark.parametrize(
    ("kind", "compression", "encoding"),
    [
        *((GRPC, compression, None) for compression in ("none", "gzip")),
        *(
            (HTTP, compression, encoding)
            for compression in ("none", "gzip", "zstd", "zlib", "deflate")
            for encoding in ("proto", "json")
        ),
    ],
)
def test_spans_pass_through_the_collector_once_and_whole(
    collector_program, daemon, receiver, tmp_path, kind, compression, encoding
):
    """With every compression both sides know, what the Collector took is stored once."""
    settings = {"compression": compression, **({"encoding": encoding} if encoding else {})}
    collector = Collector(collector_program, tmp_path, _exporter(kind, daemon, **settings))

    with collector.running():
        sent = collector.send(*(new_span_id() for _ in range(50)))
        eventually(lambda: len(_stored(receiver)) >= len(sent))

    assert _stored(receiver) == sorted(sent), collector.log


@pytest.mark.parametrize(
    ("kind", "compression"), [(GRPC, "snappy"), (GRPC, "zstd"), (HTTP, "snappy"), (HTTP, "lz4")]
)
def test_a_compression_that_is_not_spoken_is_refused_for_good(
    collector_program, daemon, receiver, tmp_path, kind, compression
):
    """The Collector drops the batch and says so; it does not send it for ever."""
    exporter = _exporter(kind, daemon, compression=compression)
    collector = Collector(collector_program, tmp_path, exporter)

    with collector.running():
        collector.send(new_span_id())
        eventually(lambda: "Dropping data" in collector.log)

    assert "not retryable" in collector.log
    assert _stored(receiver) == []


@pytest.mark.parametrize("kind", [GRPC, HTTP])
def test_what_a_full_disk_refused_arrives_when_there_is_room(collector_program, tmp_path, kind):
    """The Collector takes 503 and UNAVAILABLE for "later" and loses nothing."""
    full = {"HALO_DAEMON__STORAGE__MIN_FREE": "1000TiB"}
    sent: list[str] = []
    with daemon_in(tmp_path, full) as refusing:
        addresses = ("--grpc", refusing.grpc, "--http", refusing.http)
        collector = Collector(collector_program, tmp_path, _exporter(kind, refusing))
        with collector.running():
            sent += collector.send(*(new_span_id() for _ in range(50)))
            seen = receiver_of(refusing)
            eventually(lambda: refusing_count(seen) > 0)
            seen.close()
            refusing.stop()
            with daemon_in(tmp_path, None, *addresses) as daemon:
                seen = receiver_of(daemon)
                eventually(lambda: len(_stored(seen)) >= len(sent))
                stored = _stored(seen)
                seen.close()

    assert stored == sorted(sent)


@pytest.mark.parametrize("kind", [GRPC, HTTP])
def test_its_own_queue_on_disk_survives_both_sides_ending(collector_program, tmp_path, kind):
    """Spans taken while the daemon was away arrive although the Collector was killed as well."""
    daemon = daemon_in(tmp_path)
    with daemon:
        addresses = ("--grpc", daemon.grpc, "--http", daemon.http)
        exporter = _exporter(kind, daemon, sending_queue="{storage: file_storage}")
    collector = Collector(collector_program, tmp_path, exporter)
    with collector.running():
        sent = collector.send(*(new_span_id() for _ in range(50)))

    with daemon_in(tmp_path, None, *addresses) as daemon, collector.running():
        seen = receiver_of(daemon)
        eventually(lambda: len(_stored(seen)) >= len(sent))
        stored = _stored(seen)
        seen.close()

    assert stored == sorted(sent)
