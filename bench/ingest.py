"""
Acknowledged, synced spans per second: ``python -m bench.ingest [--seconds 10] [--rate N]``.

A real daemon, and a load generator in a process of its own that sends batches over
gRPC. Beside it stand two loops in one process, so that the ratio holds on any
machine: the bare one decodes and dumps every field of a stored line without knowing
any convention; the least one dumps a few fields as they come. Without ``--rate`` the
load is as high as the streams allow; with it, that many spans a second are sent and
the delay of each acknowledgement is what counts.
"""

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc.aio
import orjson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench.decode import bare
from halo_daemon.testing.daemon import DaemonProcess

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_START_UNIX_NS = 1_790_000_000_000_000_000
_BODIES = 64


def make_body(number: int, *, spans: int, span_bytes: int) -> bytes:
    """One request of *spans* agent-like spans of about *span_bytes* each on the wire."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "bench"
    scope = group.scope_spans.add()
    scope.scope.name = "bench.agent"
    for i in range(spans):
        span = scope.spans.add(
            trace_id=(number + 1).to_bytes(16),
            span_id=(number * spans + i + 1).to_bytes(8),
            parent_span_id=b"\1" * 8,
            name="chat gpt-4o-mini",
            kind=3,
            start_time_unix_nano=_START_UNIX_NS + i,
            end_time_unix_nano=_START_UNIX_NS + i + 10**9,
        )
        for key, text in (
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.provider.name", "openai"),
            ("gen_ai.request.model", "gpt-4o-mini"),
            ("gen_ai.conversation.id", f"conversation-{i // 8}"),
        ):
            span.attributes.add(key=key).value.string_value = text
        for key, count in (
            ("gen_ai.usage.input_tokens", 1000 + 7 * i),
            ("gen_ai.usage.output_tokens", 20 + i % 200),
        ):
            span.attributes.add(key=key).value.int_value = count
        # What names things repeats, what was said and counted does not.
        note = f"{number}-{i} ".ljust(max(1, span_bytes - span.ByteSize() - 20), "x")
        span.attributes.add(key="app.note").value.string_value = note
    return request.SerializeToString()


def least(body: bytes) -> bytes:
    """Parse, attributes to a dictionary, dump a few fields: what nobody could store as it is."""
    lines = []
    for group in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in group.scope_spans:
            for span in scope.spans:
                attributes = {
                    pair.key: getattr(pair.value, pair.value.WhichOneof("value"))
                    for pair in span.attributes
                }
                lines.append(
                    orjson.dumps(
                        {
                            "trace_id": span.trace_id.hex(),
                            "span_id": span.span_id.hex(),
                            "parent_span_id": span.parent_span_id.hex(),
                            "name": span.name,
                            "kind": span.kind,
                            "start": span.start_time_unix_nano,
                            "end": span.end_time_unix_nano,
                            "status": span.status.code,
                            "attributes": attributes,
                        }
                    )
                )
    return b"\n".join(lines)


def loop_spans_per_s(
    work: Callable[[bytes], object], bodies: Sequence[bytes], *, spans: int, seconds: float = 2.0
) -> float:
    """How many spans *work* takes in a second of a core, in one process, over and over."""
    done = 0
    # Seconds of a core, so that the rate holds where other processes want it too.
    begin = time.process_time()
    while time.process_time() - begin < seconds:
        work(bodies[done % len(bodies)])
        done += 1
    return done * spans / (time.process_time() - begin)


@dataclass(frozen=True)
class Load:
    """What the generator saw."""

    spans: int
    refused: int
    seconds: float
    p50_ms: float
    p99_ms: float
    client_cpu_s: float


async def _generate(
    target: str, bodies: Sequence[bytes], *, spans: int, seconds: float, streams: int, rate: float
) -> Load:
    delays_ms: list[float] = []
    refused = 0
    begin = time.perf_counter()

    async def stream(number: int, call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]) -> None:
        nonlocal refused
        turn = number
        while (now := time.perf_counter()) - begin < seconds:
            due = begin + turn * spans / rate if rate else now
            if due > now:
                await asyncio.sleep(due - now)
            sent = time.perf_counter()
            try:
                await call(bodies[turn % len(bodies)])
                delays_ms.append((time.perf_counter() - sent) * 1000)
            except grpc.aio.AioRpcError:
                refused += 1
            turn += streams

    async with grpc.aio.insecure_channel(target) as channel, asyncio.TaskGroup() as tasks:
        call = channel.unary_unary(EXPORT)
        for number in range(streams):
            tasks.create_task(stream(number, call))
    used = resource.getrusage(resource.RUSAGE_SELF)
    percentiles = statistics.quantiles(delays_ms, n=100)
    return Load(
        spans=len(delays_ms) * spans,
        refused=refused,
        seconds=time.perf_counter() - begin,
        p50_ms=percentiles[49],
        p99_ms=percentiles[98],
        client_cpu_s=used.ru_utime + used.ru_stime,
    )


def _status_kib(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    return 0


def cpu_seconds(pid: int) -> float:
    """What the process used of a core so far, in its own code and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _measure(arguments: argparse.Namespace) -> None:
    bodies = [
        make_body(number, spans=arguments.batch, span_bytes=arguments.span_bytes)
        for number in range(_BODIES)
    ]
    bare_rate = loop_spans_per_s(bare, bodies, spans=arguments.batch)
    least_rate = loop_spans_per_s(least, bodies, spans=arguments.batch)
    print(
        f"bare loop             {bare_rate:12,.0f} spans/s   all fields of a line, no conventions"
    )
    print(f"least loop            {least_rate:12,.0f} spans/s   ids, numbers and attributes only")
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        daemon = DaemonProcess(Path(directory) / "data")
        with daemon:
            load, cpu_s = _run_generator(daemon, arguments)
            peak_mb = _status_kib(daemon.pid, "VmHWM") / 1024
    rate = load.spans / load.seconds
    for name, achieved in (
        ("acknowledged, synced", rate),
        ("per core of daemon", load.spans / cpu_s),
    ):
        print(
            f"{name:20}  {achieved:12,.0f} spans/s   ratio {achieved / bare_rate:.2f} to the bare"
            f" loop, {achieved / least_rate:.2f} to the least"
        )
    print(f"acknowledgement       p50 {load.p50_ms:.1f} ms, p99 {load.p99_ms:.1f} ms")
    print(f"refused requests      {load.refused}")
    print(
        f"daemon                {cpu_s / load.seconds:.0%} of a core, {peak_mb:.0f} MB at its peak"
    )
    print(f"generator             {load.client_cpu_s / load.seconds:.0%} of a core")


def _run_generator(daemon: DaemonProcess, arguments: argparse.Namespace) -> tuple[Load, float]:
    command = [sys.executable, "-m", "bench.ingest", "--generate", daemon.grpc]
    for name in ("seconds", "rate", "streams", "batch", "span_bytes"):
        command += ["--" + name.replace("_", "-"), str(getattr(arguments, name))]
    before_s = cpu_seconds(daemon.pid)
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    return Load(**json.loads(ended.stdout)), cpu_seconds(daemon.pid) - before_s


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=0.0, help="spans per second; 0: no limit")
    parser.add_argument("--streams", type=int, default=16, help="requests at a time")
    parser.add_argument("--batch", type=int, default=500, help="spans per request")
    parser.add_argument("--span-bytes", type=int, default=700)
    parser.add_argument("--directory", help="where the data goes; a real disk, not tmpfs")
    parser.add_argument("--generate", metavar="HOST:PORT", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.generate:
        bodies = [
            make_body(number, spans=arguments.batch, span_bytes=arguments.span_bytes)
            for number in range(_BODIES)
        ]
        load = asyncio.run(
            _generate(
                arguments.generate,
                bodies,
                spans=arguments.batch,
                seconds=arguments.seconds,
                streams=arguments.streams,
                rate=arguments.rate,
            )
        )
        print(json.dumps(asdict(load)))
        return
    _measure(arguments)


if __name__ == "__main__":
    _main()
