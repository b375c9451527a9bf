"""Whatever is sent to the HTTP application, it is answered by the rules."""

import asyncio
import gzip
import zlib

from backports import zstd
from hypothesis import given, settings, strategies as st

from halo_daemon.proto.batch import DecodeLimits
from halo_daemon.receiver.access import HostCheck
from halo_daemon.receiver.counters import IngestCounters
from halo_daemon.receiver.http_app import HttpLimits, OtlpHttpApp
from halo_daemon.receiver.ingest import TraceIngest
from halo_daemon.receiver.intake import Intake
from halo_daemon.receiver.other_signals import OtherSignals
from halo_daemon.receiver.routing import ProjectRouter
from halo_daemon.testing.memory_sink import MemorySink
from tests.conformance.requests import as_json, base_span, json_body, request_of, t1

LIMIT_BYTES = 4096
LEGAL = frozenset({200, 400, 401, 403, 404, 405, 408, 413, 415})

_COMPRESS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstd.compress,
    "identity": bytes,
    "br": bytes,
}


def _rich():
    span = base_span(trace_state="k=v", flags=1)
    span.attributes.add(key="list").value.array_value.values.add().kvlist_value.values.add(key="k")
    span.events.add(name="e").attributes.add(key="n").value.double_value = 0.5
    span.links.add(trace_id=b"\1" * 16, span_id=b"\2" * 8)
    return request_of(span)


SEEDS = [t1(), json_body(), _rich().SerializeToString(), as_json(_rich()), b"", b"{}"]


@st.composite
def bodies(draw):
    """A request, with bytes of it changed, cut, doubled or replaced."""
    body = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(body)))
        end = min(len(body), at + draw(st.integers(0, 12)))
        kind = draw(st.sampled_from(["replace", "cut", "double", "insert"]))
        if kind == "cut":
            del body[at:end]
        elif kind == "double":
            body[at:at] = body[at:end]
        elif kind == "insert":
            body[at:at] = draw(st.binary(max_size=12))
        else:
            body[at:end] = draw(st.binary(min_size=end - at, max_size=end - at))
    return bytes(body)


class _App:
    """The application around a sink in memory."""

    def __init__(self):
        self.sink = MemorySink()
        self.counters = IngestCounters()
        self._intake = Intake(max_requests=4, max_bytes=10**6)
        ingest = TraceIngest(
            self.sink,
            ProjectRouter(),
            limits=DecodeLimits(max_spans=50),
            max_decompressed_bytes=LIMIT_BYTES,
            counters=self.counters,
        )
        self._app = OtlpHttpApp(
            ingest=ingest,
            intake=self._intake,
            others=OtherSignals(ingest, limits=DecodeLimits()),
            limits=HttpLimits(max_body_bytes=LIMIT_BYTES, max_decompressed_bytes=LIMIT_BYTES),
            counts=self.counters.http,
            pages={},
            hosts=HostCheck(),
        )

    async def status(self, method, path, headers, chunks):
        """The status of one request whose body comes in *chunks*."""
        messages = [
            {"type": "http.request", "body": chunk, "more_body": i < len(chunks) - 1}
            for i, chunk in enumerate(chunks)
        ]
        sent = []

        async def receive():
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": method, "path": path, "headers": headers}
        await self._app(scope, receive, send)
        assert (self._intake.open, self._intake.held_bytes) == (0, 0)
        assert len(sent) >= 2
        assert sent[0]["status"] < 400 or sent[1]["body"]
        return sent[0]["status"]


HEADER_NAMES = st.sampled_from(
    [b"content-type", b"content-encoding", b"content-length", b"host", b"x-project-name", b"origin"]
)
HEADER_VALUES = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [b"application/json", b"application/x-protobuf", b"gzip", b"-1", b"\xb2", b"localhost"]
    ),
)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["POST", "GET", "OPTIONS", "HEAD", "X"]),
    st.sampled_from(["/v1/traces", "/v1/logs", "/v1/metrics", "/", "//", "/v1/traces/", "é"]),
    st.lists(st.tuples(HEADER_NAMES, HEADER_VALUES), max_size=5),
    st.lists(st.binary(max_size=200), min_size=1, max_size=3),
)
def test_any_request_is_answered_by_the_rules(method, path, headers, chunks):
    """No head and no body gives a defect, a leak or silence."""
    assert asyncio.run(_App().status(method, path, headers, chunks)) in LEGAL


@settings(max_examples=100, deadline=None)
@given(
    bodies(),
    st.sampled_from(["application/json", "application/x-protobuf"]),
    st.sampled_from(sorted(_COMPRESS)),
    st.sampled_from(["/v1/traces", "/v1/logs", "/v1/metrics"]),
)
def test_any_mutated_request_is_stored_or_refused_and_counted(body, media_type, encoding, path):
    """Spans or a typed error, and the counts add up."""
    app = _App()
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-encoding", encoding.encode()),
        (b"host", b"localhost"),
    ]

    status = asyncio.run(app.status("POST", path, headers, [_COMPRESS[encoding](body)]))

    counts = app.counters.http
    assert status in {200, 400, 413, 415}
    assert counts.received == counts.accepted + counts.refused.total() + counts.failed.total()
    assert counts.accepted == sum(batch.spans for batch in app.sink.batches)
