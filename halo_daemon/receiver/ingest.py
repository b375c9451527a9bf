"""
The one path from a request's bytes to its answer, for both transports.

Large bodies are decoded in a thread, so that a request of 64 MiB does not keep the
event loop from answering the small ones.

Rule: these threads never keep the process alive. What they decode is not acknowledged,
and a daemon that was told to stop has closed everything durable when it ends.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from halo_daemon.proto.batch import DecodedRequest, DecodeLimits
from halo_daemon.proto.otlp import decode_protobuf
from halo_daemon.proto.otlp_json import decode_json
from halo_daemon.proto.otlp_response import Answer, export_response
from halo_daemon.proto.project import Project
from halo_daemon.receiver.access import KeyCheck
from halo_daemon.receiver.body import decompress
from halo_daemon.receiver.counters import IngestCounters, Transport, reason_of
from halo_daemon.receiver.daemon_threads import DaemonThreads
from halo_daemon.receiver.encoding import Encoding
from halo_daemon.receiver.intake import Slot
from halo_daemon.receiver.routing import HeaderOf, ProjectRouter
from halo_daemon.receiver.sink import SpanSink

# Some tens of milliseconds of small spans: everybody else waits while the loop decodes.
_THREAD_FROM_BYTES: Final = 128 * 1024
# A compressed body can be a thousand times as large as it looks.
_THREAD_FROM_COMPRESSED_BYTES: Final = 32 * 1024
_DECODE_THREADS: Final = 2

_DECODERS: Final = {Encoding.PROTOBUF: decode_protobuf, Encoding.JSON: decode_json}


T = TypeVar("T")


class Received(NamedTuple):
    """The body of a request, with what is needed to read it."""

    body: bytes
    encoding: Encoding
    header_of: HeaderOf
    content_encoding: str = ""
    """What `require_encoding` returned; ``""`` for a body that is not compressed."""

    only: Project | None = None
    """The one project that the sender may write to; None when it may choose."""


class TraceIngest:
    """
    Decodes and stores trace requests.

    Args:
        sink: Where spans go; success is answered only after it returns.
        router: Finds projects.
        limits: What one request may hold.
        max_decompressed_bytes: What a compressed body may expand to.
        counters: Where everything is counted.
        keys: Who may send.
    """

    def __init__(
        self,
        sink: SpanSink,
        router: ProjectRouter,
        *,
        limits: DecodeLimits,
        max_decompressed_bytes: int,
        counters: IngestCounters,
        keys: KeyCheck | None = None,
    ) -> None:
        self._keys = keys or KeyCheck()
        self._sink = sink
        self._router = router
        self._limits = limits
        self._max_decompressed_bytes = max_decompressed_bytes
        self._counters = counters
        self._threads = DaemonThreads(_DECODE_THREADS, name="halo-decode")

    def admit(self, header_of: HeaderOf) -> Project | None:
        """
        The one project that a request may write to; None when it may choose.

        Raises:
            UnauthenticatedError: A key is asked for and none, or an unknown one, was sent.
            ForbiddenError: The key is one of another project than the headers name.
        """
        return self._keys.admit(
            header_of("authorization"), named_project=self._router.named_by(header_of)
        )

    async def export(self, request: Received, slot: Slot, *, transport: Transport) -> Answer:
        """
        Store the spans of one request; returns only when they are durable.

        Raises:
            IngestError: Nothing may be taken as stored; the class says what to answer.
        """
        counts = self._counters.of(transport)
        counts.received_bytes += len(request.body)
        async with slot.work():
            decoded = await self.read(request, lambda body: self._decode(body, request))
            counts.received += decoded.received_spans
            try:
                await self._sink.accept(decoded.batches)
            except BaseException as exc:
                counts.failed[reason_of(exc)] += decoded.received_spans
                raise
        counts.accepted += decoded.received_spans - decoded.rejected_spans
        counts.refused.update(decoded.rejected)
        counts.warnings.update(decoded.warnings)
        return export_response(decoded.rejected_spans, decoded.error_message)

    async def read(
        self,
        request: Received,
        work: Callable[[bytes], T],
        *,
        thread_from_bytes: int = _THREAD_FROM_BYTES,
    ) -> T:
        """
        The result of *work* on the body of *request*, decompressed.

        One of *thread_from_bytes* and more is worked on in one of the few threads that decode.
        """

        def decompress_and_work() -> T:
            body = decompress(
                request.body, request.content_encoding, max_bytes=self._max_decompressed_bytes
            )
            return work(body)

        if request.content_encoding:
            thread_from_bytes = _THREAD_FROM_COMPRESSED_BYTES
        if len(request.body) < thread_from_bytes:
            return decompress_and_work()
        return await self._threads.run(decompress_and_work)

    def _decode(self, body: bytes, request: Received) -> DecodedRequest:
        project_of = self._router.for_request(request.header_of, only=request.only)
        return _DECODERS[request.encoding](body, project_of=project_of, limits=self._limits)
