"""
Overload and disk faults, seen by senders over real sockets.

The receiver and the writer run in this process, so that a test can fill the queue and
break the disk at will.
"""

import asyncio
import errno

import grpc
import pytest

from halo_daemon.errors import OverloadError
from halo_daemon.receiver.grpc_server import GrpcSettings
from halo_daemon.receiver.http_server import HttpSettings
from halo_daemon.receiver.otlp import OtlpReceiver, ReceiverSettings
from halo_daemon.receiver.routing import ProjectRouter
from halo_daemon.store.writer import SpanWriter, WriterLimits
from halo_daemon.testing.failing_disk import FailingDisk
from halo_daemon.testing.memory_sink import MemorySink
from halo_daemon.testing.spans import START_UNIX_NS
from tests.conformance.receiver import Receiver
from tests.conformance.requests import SPAN_ID, t1

# gRPC's poller belongs to the first event loop that uses it, so all tests here share one.
pytestmark = pytest.mark.asyncio(loop_scope="module")

RETRY_TRAILER = "google.rpc.retryinfo-bin"


class _Gate(MemorySink):
    """A sink that holds every request until it is opened."""

    def __init__(self):
        super().__init__()
        self.has_request = asyncio.Event()
        self.is_open = asyncio.Event()

    async def accept(self, batches):
        self.has_request.set()
        await self.is_open.wait()
        await super().accept(batches)


class _Served:
    """A receiver around *sink* on free ports."""

    def __init__(self, sink, data=None, **bounds):
        settings = ReceiverSettings(grpc=GrpcSettings(port=0), http=HttpSettings(port=0), **bounds)
        self.receiver = OtlpReceiver(sink, settings=settings, router=ProjectRouter())
        self._data = data

    async def __aenter__(self):
        ports = await self.receiver.start()
        self.outside = Receiver(
            http_address=f"127.0.0.1:{ports.http}",
            grpc_address=f"127.0.0.1:{ports.grpc}",
            data=self._data,
        )
        return self

    async def __aexit__(self, *_error):
        await self.receiver.stop(1.0)
        self.outside.close()

    async def post(self, body=None, **options):
        return await asyncio.to_thread(self.outside.post, body or t1(), **options)

    async def export(self, body=None):
        return await asyncio.to_thread(self.outside.export, body or t1())


def _is_retryable(over_http, over_grpc):
    return (
        over_http.status == 503
        and 1 <= int(over_http.headers["retry-after"]) <= 5
        and bool(over_http.message)
        and over_grpc.code is grpc.StatusCode.UNAVAILABLE
        and RETRY_TRAILER in over_grpc.trailers
        and "grpc-status-details-bin" in over_grpc.trailers
    )


async def test_c69_beyond_the_places_senders_are_told_to_come_back():
    """With all places taken both transports refuse with a retry hint, then recover."""
    gate = _Gate()
    async with _Served(gate, max_concurrent_requests=1, patience_s=0.0) as served:
        first = asyncio.create_task(served.post())
        await gate.has_request.wait()

        refused = await served.post(), await served.export()
        gate.is_open.set()

        assert _is_retryable(*refused)
        assert (await first).status == 200
        assert (await served.post()).status == 200


async def test_c69_beyond_the_memory_for_bodies_senders_are_told_to_come_back():
    """A body that would pass the bound on held bytes is refused with a retry hint."""
    gate = _Gate()
    async with _Served(gate, max_held_bytes=len(t1()) + 10) as served:
        first = asyncio.create_task(served.post())
        await gate.has_request.wait()

        refused = await served.post(), await served.export()
        gate.is_open.set()

        assert _is_retryable(*refused)
        assert (await first).status == 200
        assert served.receiver.intake.held_bytes == 0


async def test_c69_a_full_queue_is_told_the_same_way():
    """When the sink is full, senders are told to come back."""
    sink = MemorySink()
    sink.failures += [OverloadError("full"), OverloadError("full")]
    async with _Served(sink) as served:
        assert _is_retryable(await served.post(), await served.export())
        assert (await served.post()).status == 200


async def test_c75_while_stopping_new_requests_are_refused_and_those_in_work_end():
    """During the grace time what is in work is finished, and the rest sent away for later."""
    gate = _Gate()
    async with _Served(gate) as served:
        first = asyncio.create_task(served.post())
        await gate.has_request.wait()
        stopping = asyncio.create_task(served.receiver.stop(5.0))
        await asyncio.sleep(0)  # the stop begins by closing the door
        assert served.receiver.intake.is_closed

        refused = await served.post(), await served.export()
        ready = await asyncio.to_thread(served.outside.request, "GET", "/readyz")
        gate.is_open.set()

        assert (await first).status == 200
        await stopping
        assert _is_retryable(*refused)
        assert ready.status == 503


@pytest.mark.parametrize(
    "error_number",
    [errno.ENOSPC, errno.EIO, errno.EROFS],
    ids=lambda number: errno.errorcode[number],
)
async def test_c72_a_failing_disk_is_told_and_got_over(tmp_path, error_number):
    """While the disk fails nothing is acknowledged; afterwards the same spans are stored."""
    disk = FailingDisk(1, last=10**9, error_number=error_number, tears=True)
    writer = SpanWriter(
        tmp_path,
        worker=0,
        now_unix_ns=lambda: START_UNIX_NS,
        now_monotonic_s=lambda: 0.0,
        limits=WriterLimits(min_free_bytes=0),
        disk=disk,
    )
    async with _Served(writer, tmp_path) as served:
        refused = await served.post(project="p"), await served.export()
        disk.heal()
        again = await served.post(project="p")

        stored = [span["span_id"] for span in served.outside.spans("p")]

    await writer.aclose()
    assert _is_retryable(*refused)
    assert again.is_empty_success
    assert stored == [SPAN_ID]


@pytest.mark.parametrize("call", range(1, 16))
async def test_c72_whichever_call_fails_an_acknowledged_span_is_stored_once(tmp_path, call):
    """One failing call at any place: an acknowledgement means stored, a refusal can be repeated."""
    disk = FailingDisk(call, error_number=errno.EIO, tears=True)
    writer = SpanWriter(
        tmp_path,
        worker=0,
        now_unix_ns=lambda: START_UNIX_NS,
        now_monotonic_s=lambda: 0.0,
        limits=WriterLimits(min_free_bytes=0),
        disk=disk,
    )
    async with _Served(writer, tmp_path) as served:
        answers = [await served.post(project="p") for _ in range(2)]
        stored = {span["span_id"] for span in served.outside.spans("p")}

    await writer.aclose()
    assert {answer.status for answer in answers} <= {200, 503}
    assert answers[1].status == 200
    assert stored == {SPAN_ID}
