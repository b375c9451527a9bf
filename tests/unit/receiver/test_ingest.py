import asyncio

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from halo_daemon.errors import DecodeError, LimitError, OverloadError, StorageUnavailableError
from halo_daemon.proto.batch import DecodeLimits
from halo_daemon.proto.otlp_response import EMPTY
from halo_daemon.receiver.counters import IngestCounters, Transport
from halo_daemon.receiver.encoding import Encoding
from halo_daemon.receiver.ingest import Received, TraceIngest
from halo_daemon.receiver.intake import Intake
from halo_daemon.receiver.routing import ProjectRouter
from halo_daemon.testing.memory_sink import MemorySink


def _body(*, good=1, bad=0, padding=0):
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for i in range(good):
        span = spans.add(trace_id=b"\1" * 16, span_id=(i + 1).to_bytes(8), name="s")
        span.attributes.add(key="k").value.string_value = "x" * padding
    for _ in range(bad):
        spans.add(name="bad")
    return request.SerializeToString()


class _Path:
    """An ingest path around a memory sink."""

    def __init__(self, *, max_spans=100):
        self.sink = MemorySink()
        self.counters = IngestCounters()
        self.intake = Intake(max_requests=2, max_bytes=10**9)
        self.ingest = TraceIngest(
            self.sink,
            ProjectRouter(),
            limits=DecodeLimits(max_spans=max_spans),
            max_decompressed_bytes=10**8,
            counters=self.counters,
        )

    async def export(self, body, encoding=Encoding.PROTOBUF):
        received = Received(body, encoding, {}.get)
        with self.intake.request() as slot:
            return await self.ingest.export(received, slot, transport=Transport.HTTP)


async def test_good_spans_are_stored_and_bad_ones_are_answered():
    """The answer names what was refused; the counts of a request add up."""
    path = _Path()

    answer = await path.export(_body(good=3, bad=2))

    counts = path.counters.http
    assert len(path.sink.spans("default")) == 3
    assert b"bad" in answer.protobuf
    assert counts.received == counts.accepted + counts.refused.total() == 5


async def test_when_all_is_well_nothing_is_said():
    """A request without a refused span gets the empty answer."""
    assert await _Path().export(_body()) == EMPTY


@pytest.mark.parametrize("error", [OverloadError("full"), StorageUnavailableError("disk")])
async def test_what_the_sink_refuses_is_failed_not_accepted(error):
    """A failing sink fails the whole request, in the answer and in the counts."""
    path = _Path()
    path.sink.failures.append(error)

    with pytest.raises(type(error)):
        await path.export(_body(good=2, bad=1))

    counts = path.counters.http
    assert (counts.received, counts.accepted, counts.failed.total()) == (3, 0, 3)


@pytest.mark.parametrize(
    ("body", "encoding", "error"),
    [
        (b"\xff", Encoding.PROTOBUF, DecodeError),
        (b"", Encoding.JSON, DecodeError),
        (_body(good=101), Encoding.PROTOBUF, LimitError),
    ],
)
async def test_a_request_that_cannot_be_decoded_holds_no_spans(body, encoding, error):
    """What is not decoded is neither received nor stored."""
    path = _Path()

    with pytest.raises(error):
        await path.export(body, encoding)

    assert path.counters.http.received == 0
    assert path.sink.batches == []


async def test_the_loop_goes_on_while_a_large_body_is_decoded():
    """A body of several MiB is decoded in a thread."""
    path = _Path()
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await path.export(_body(good=50, padding=100_000))
    counting.cancel()

    assert turns > 1
    assert len(path.sink.spans("default")) == 50
