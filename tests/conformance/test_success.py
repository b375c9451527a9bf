"""Rows C1 to C18: what is accepted."""

import gzip
import json
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from backports import zstd

from halo_daemon.store.reader import LocalTraceReader
from tests.conformance.conftest import daemon_in, receiver_of
from tests.conformance.receiver import JSON, PROTOBUF, read_answer
from tests.conformance.requests import (
    SPAN_ID,
    START_TEXT,
    TRACE_ID,
    as_json,
    base_span,
    body_of,
    json_body,
    json_object,
    new_span_id,
    request_of,
    t1,
)


def _raw_deflate(body):
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


def _stored_ids(receiver, project):
    return [span["span_id"] for span in receiver.spans(project)]


def test_c01_protobuf_over_http_is_stored_before_the_answer(ours, project):
    """A protobuf request is answered with an empty success once its span is on disk."""
    answer = ours.post(t1(), project=project)

    assert answer.is_empty_success
    assert answer.media_type == PROTOBUF
    assert _stored_ids(ours, project) == [SPAN_ID]


def test_c01_an_acknowledged_span_survives_kill_9(tmp_path):
    """A span that was acknowledged is in the shard exactly once after a crash."""
    daemon = daemon_in(tmp_path).start()
    receiver = receiver_of(daemon)
    answer = receiver.post(t1(), project="p")

    daemon.kill()
    with daemon:
        stored = _stored_ids(receiver, "p")

    receiver.close()
    assert answer.is_empty_success
    assert stored == [SPAN_ID]


def test_c02_json_over_http(ours, project):
    """OTLP/JSON is stored with ids in lower-case hex and fixed-width times."""
    answer = ours.post(json_body(traceId=TRACE_ID.upper()), JSON, project=project)

    [span] = ours.spans(project)
    assert answer.is_empty_success
    assert answer.media_type == JSON
    assert (span["trace_id"], span["span_id"]) == (TRACE_ID, SPAN_ID)
    assert span["start_time"] == START_TEXT


def test_c03_grpc(ours, project):
    """Over gRPC the response has no partial success."""
    answer = ours.export(t1(), project=project)

    assert (answer.code, answer.body) == (grpc.StatusCode.OK, b"")
    assert _stored_ids(ours, project) == [SPAN_ID]


EMPTY = [
    pytest.param(b"", PROTOBUF, id="no-bytes"),
    pytest.param(b"{}", JSON, id="empty-object"),
    pytest.param(b'{"resourceSpans":[]}', JSON, id="no-resources"),
    pytest.param(b'{"resourceSpans":[{}]}', JSON, id="resource-without-scopes"),
    pytest.param(b"\x0a\x00", PROTOBUF, id="resource-without-scopes-protobuf"),
]


@pytest.mark.parametrize(("body", "media_type"), EMPTY)
def test_c04_an_empty_request_is_a_success(receiver, project, body, media_type):
    """A request without spans is answered like any other success."""
    assert receiver.post(body, media_type, project=project).is_empty_success
    if receiver.is_ours:
        assert receiver.lines(project) == []


def test_c04_an_empty_grpc_request_is_a_success(receiver):
    """A gRPC request of no bytes is a success."""
    assert receiver.export(b"").code is grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("body", "media_type"),
    [pytest.param(t1(), PROTOBUF, id="protobuf"), pytest.param(json_body(), JSON, id="json")],
)
def test_c05_gzip_over_http(receiver, project, body, media_type):
    """A gzip body is taken in both encodings."""
    answer = receiver.post(
        gzip.compress(body), media_type, project=project, headers={"content-encoding": "gzip"}
    )

    assert answer.is_empty_success
    if receiver.is_ours:
        assert _stored_ids(receiver, project) == [SPAN_ID]


def test_c05_gzip_over_grpc(receiver, project):
    """gRPC's own gzip compression is taken."""
    answer = receiver.export(t1(), project=project, compression=grpc.Compression.Gzip)

    assert answer.code is grpc.StatusCode.OK


def test_c05_deflate_over_grpc(receiver, project):
    """gRPC's deflate compression is taken."""
    answer = receiver.export(t1(), project=project, compression=grpc.Compression.Deflate)

    assert answer.code is grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        pytest.param("zstd", zstd.compress, id="zstd"),
        pytest.param("deflate", zlib.compress, id="deflate-wrapped"),
        pytest.param("deflate", _raw_deflate, id="deflate-raw"),
        pytest.param("zlib", zlib.compress, id="zlib"),
        pytest.param("identity", bytes, id="identity"),
        pytest.param("GZIP", gzip.compress, id="upper-case"),
        pytest.param("gzip", lambda b: gzip.compress(b[:9]) + gzip.compress(b[9:]), id="members"),
        pytest.param("zstd", lambda b: zstd.compress(b[:9]) + zstd.compress(b[9:]), id="frames"),
    ],
)
def test_c06_other_encodings(receiver, project, encoding, compress):
    """Every encoding that exporters use is taken, in any letter case."""
    answer = receiver.post(compress(t1()), project=project, headers={"content-encoding": encoding})

    assert answer.is_empty_success
    if receiver.is_ours:
        assert _stored_ids(receiver, project) == [SPAN_ID]


def test_c07_accept_encoding(receiver):
    """A client that takes gzip gets a valid answer, encoded or not."""
    answer = receiver.post(t1(), headers={"accept-encoding": "gzip"})

    body = answer.body
    if answer.headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    assert (answer.status, body) == (200, b"")


@pytest.mark.parametrize(
    ("sent", "body", "answered"),
    [
        ("application/json; charset=utf-8", json_body(), {JSON}),
        ("APPLICATION/JSON", json_body(), {JSON}),
        ("application/x-protobuf; foo=bar", t1(), {PROTOBUF}),
        ("application/protobuf", t1(), {PROTOBUF, "application/protobuf"}),
    ],
)
def test_c08_media_types_with_parameters_and_other_case(receiver, sent, body, answered):
    """A media type is compared without its parameters and its letter case."""
    answer = receiver.post(body, sent)

    assert answer.status == 200
    assert answer.media_type in answered


def _rich_request():
    span = base_span(trace_state="k=v", flags=257)
    for key, value in (("text", "café"), ("empty", ""), ("__proto__", "x")):
        span.attributes.add(key=key).value.string_value = value
    span.attributes.add(key="int").value.int_value = 42
    span.attributes.add(key="large").value.int_value = 2**63 - 1
    span.attributes.add(key="bool").value.bool_value = True
    span.attributes.add(key="double").value.double_value = 1.0
    span.attributes.add(key="nan").value.double_value = float("nan")
    span.attributes.add(key="bytes").value.bytes_value = b"\xfb\xff\x00"
    span.attributes.add(key="none")
    span.attributes.add(key="list").value.array_value.values.add().string_value = "x"
    span.attributes.add(key="map").value.kvlist_value.values.add(key="k").value.int_value = 1
    event = span.events.add(name="e", time_unix_nano=5)
    event.attributes.add(key="k").value.string_value = "v"
    span.links.add(trace_id=bytes.fromhex(TRACE_ID), span_id=b"\x01" * 8)
    request = request_of(span)
    request.resource_spans[0].resource.attributes.add(key="service.name").value.string_value = "svc"
    request.resource_spans[0].scope_spans[0].scope.name = "scope"
    return request


def test_c09_json_gives_the_same_line_as_protobuf(ours, project):
    """One request gives the same bytes on disk, whichever encoding it came in."""
    request = _rich_request()

    ours.post(request.SerializeToString(), project=project)
    ours.post(as_json(request), JSON, project=project)

    first, second = ours.lines(project)
    assert first == second


def _attribute_value(value):
    return json_body(attributes=[{"key": "k", "value": value}])


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        pytest.param({"intValue": "42"}, 42, id="int-as-text"),
        pytest.param({"intValue": 42}, 42, id="int-as-number"),
        pytest.param({"doubleValue": 1}, 1.0, id="double-without-point"),
        pytest.param({"doubleValue": "NaN"}, "NaN", id="nan"),
        pytest.param({"doubleValue": "Infinity"}, "Infinity", id="infinity"),
        pytest.param({"bytesValue": "+/8="}, "+/8=", id="base64"),
        pytest.param({"bytesValue": "-_8"}, "+/8=", id="base64-url-safe"),
        pytest.param({"arrayValue": {}}, [], id="empty-array"),
        pytest.param({"kvlistValue": {}}, {}, id="empty-map"),
        pytest.param(None, None, id="null-value"),
    ],
)
def test_c09_json_values(ours, project, value, stored):
    """Every legal way to write a value in OTLP/JSON is understood."""
    answer = ours.post(_attribute_value(value), JSON, project=project)

    [span] = ours.spans(project)
    assert answer.is_empty_success
    assert span["attributes"]["k"] == stored


def test_c09_json_accepts_times_as_numbers_null_fields_and_unknown_ones(receiver, project):
    """Times may be numbers, any field may be null, and unknown fields are ignored."""
    request = json_object(
        startTimeUnixNano=1544712660000000000, attributes=[], status=None, links=None, extra=[1]
    )
    request["unknown"] = {"deep": [1]}
    request["resourceSpans"][0]["resource"] = None

    answer = receiver.post(json.dumps(request).encode(), JSON, project=project)

    assert answer.is_empty_success
    if receiver.is_ours:
        assert receiver.spans(project)[0]["start_time"] == START_TEXT


def test_c10_every_line_has_its_own_copy_of_resource_and_scope(ours, project):
    """Two resources of two scopes of three spans are twelve whole lines."""
    request = request_of()
    del request.resource_spans[:]
    for r in range(2):
        resource = request.resource_spans.add()
        resource.resource.attributes.add(key="r").value.int_value = r
        for s in range(2):
            scope = resource.scope_spans.add()
            scope.scope.name = f"scope-{s}"
            scope.spans.extend(base_span(span_id=bytes.fromhex(new_span_id())) for _ in range(3))

    ours.post(request.SerializeToString(), project=project)

    places = [
        (span["resource"]["attributes"]["r"], span["scope"]["name"]) for span in ours.spans(project)
    ]
    assert places == [(r, f"scope-{s}") for r in range(2) for s in range(2) for _ in range(3)]


def test_c11_one_request_for_two_projects(ours, project):
    """Each resource goes to its own project; both are on disk before the answer."""
    request = request_of()
    del request.resource_spans[:]
    for suffix in ("a", "b"):
        resource = request.resource_spans.add()
        attribute = resource.resource.attributes.add(key="openinference.project.name")
        attribute.value.string_value = f"{project}-{suffix}"
        resource.scope_spans.add().spans.append(base_span())

    answer = ours.post(request.SerializeToString())

    assert answer.is_empty_success
    assert _stored_ids(ours, f"{project}-a") == [SPAN_ID]
    assert _stored_ids(ours, f"{project}-b") == [SPAN_ID]


def _with_project_attribute(name):
    request = request_of(base_span())
    attribute = request.resource_spans[0].resource.attributes.add(key="openinference.project.name")
    attribute.value.string_value = name
    return request.SerializeToString()


@pytest.mark.parametrize("send", ["post", "export"])
def test_c12_the_header_wins_over_the_resource(ours, project, send):
    """The project that a header names is used before that of the resource."""
    getattr(ours, send)(_with_project_attribute("other"), project=project)

    assert _stored_ids(ours, project) == [SPAN_ID]


@pytest.mark.parametrize(
    "name",
    [
        "../../x",
        "a\x00b",
        "x" * 300,
        "e\u0301",
        "\u00e9",
        "CON",
        ".",
        "..",
        "a/b",
        "\ud7ff",
        "nul.txt",
    ],
)
def test_c12_hostile_project_names_stay_inside_the_data_directory(ours, name):
    """Whatever a client names a project, its spans are stored under `projects/<slug>`."""
    answer = ours.post(_with_project_attribute(name))

    assert answer.is_empty_success
    assert SPAN_ID in _stored_ids(ours, name)
    assert sorted(path.name for path in ours.data.iterdir()) == sorted(
        {path.name for path in ours.data.iterdir()} & {"lock", "projects", "outbox", "daemon.json"}
    )


@pytest.mark.parametrize("name", ["", "   "])
def test_c12_a_blank_name_is_no_name(ours, project, name):
    """A blank header falls through to the next rule."""
    ours.post(_with_project_attribute(project), headers={"x-project-name": name})

    assert _stored_ids(ours, project) == [SPAN_ID]


def test_c13_sixteen_grpc_streams_at_once(receiver, project):
    """Concurrent requests on one connection are all stored."""
    ids = [new_span_id() for _ in range(64)]

    with ThreadPoolExecutor(16) as threads:
        answers = list(
            threads.map(
                lambda span_id: receiver.export(
                    t1(span_id=bytes.fromhex(span_id)), project=project
                ),
                ids,
            )
        )

    assert {answer.code for answer in answers} == {grpc.StatusCode.OK}
    if receiver.is_ours:
        assert sorted(_stored_ids(receiver, project)) == sorted(ids)


def _head(receiver, *lines):
    head = ["POST /v1/traces HTTP/1.1", f"Host: {receiver.http_address}", *lines, "", ""]
    return "\r\n".join(head).encode()


def test_c13_keep_alive_and_pipelining(receiver):
    """Requests sent without waiting are answered in order on one connection."""
    body = t1()
    one = _head(receiver, f"Content-Type: {PROTOBUF}", f"Content-Length: {len(body)}") + body

    answers = receiver.raw(one * 3, answers=3)

    assert [answer.status for answer in answers] == [200, 200, 200]


def test_c13_expect_100_continue(receiver):
    """A client that asks for leave to send gets it, then its answer."""
    body = t1()
    with receiver.connect() as connection:
        connection.sendall(
            _head(
                receiver,
                f"Content-Type: {PROTOBUF}",
                f"Content-Length: {len(body)}",
                "Expect: 100-continue",
            )
        )
        leave = read_answer(connection)
        connection.sendall(body)
        answer = read_answer(connection)

    assert (leave.status, answer.status) == (100, 200)


def test_c13_chunked_without_content_length(receiver, project):
    """A chunked body is taken, however it is cut."""
    body = t1()
    chunks = b"".join(b"1\r\n" + body[i : i + 1] + b"\r\n" for i in range(len(body))) + b"0\r\n\r\n"
    head = _head(
        receiver,
        f"Content-Type: {PROTOBUF}",
        "Transfer-Encoding: chunked",
        f"X-Project-Name: {project}",
    )

    [answer] = receiver.raw(head + chunks)

    assert answer.status == 200
    if receiver.is_ours:
        assert _stored_ids(receiver, project) == [SPAN_ID]


def test_c13_chunked_together_with_content_length_is_no_way_to_smuggle(receiver):
    """Both length headers at once are refused, or chunked counts and the connection goes on."""
    body = t1()
    head = _head(
        receiver,
        f"Content-Type: {PROTOBUF}",
        "Transfer-Encoding: chunked",
        f"Content-Length: {len(body)}",
    )

    [answer] = receiver.raw(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))

    assert answer.status in {200, 400}


@pytest.mark.parametrize(
    ("path", "statuses"),
    [("/v1/traces/", {200, 404}), ("//v1/traces", {200, 404, 400}), ("/v1/traces?a=b", {200})],
)
def test_c14_variants_of_the_path(receiver, path, statuses):
    """A trailing slash and a query string are accepted; a doubled slash is no crash."""
    assert receiver.post(t1(), path=path).status in statuses


def test_c15_the_same_request_twice_is_one_span_for_a_reader(tmp_path):
    """Re-deliveries in sequence, at once and over a restart are all acknowledged; readers see one."""
    daemon = daemon_in(tmp_path).start()
    receiver = receiver_of(daemon)
    answers = [receiver.post(t1(), project="p"), receiver.post(t1(), project="p")]
    threads = [
        threading.Thread(target=lambda: answers.append(receiver.post(t1(), project="p")))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    daemon.stop()
    with daemon:
        again = receiver_of(daemon)
        answers.append(again.post(t1(), project="p"))
        trace = _load_trace(again, "p")
        again.close()
    receiver.close()

    assert all(answer.is_empty_success for answer in answers)
    assert len(trace.spans) == 1


def _load_trace(receiver, project):
    reader = LocalTraceReader(receiver.data, project, settle_s=0.0, now_unix_ns=time.time_ns)
    try:
        return reader.load_trace(TRACE_ID)
    finally:
        reader.close()


@pytest.mark.parametrize("order", [("pending", "final"), ("final", "pending")], ids="-".join)
def test_c16_the_last_complete_version_wins(ours, project, order):
    """A pending version of a span never replaces its final one."""
    versions = {"pending": t1(end_time_unix_nano=0, name="pending"), "final": t1(name="final")}

    answers = [ours.post(versions[name], project=project) for name in order]

    assert all(answer.is_empty_success for answer in answers)
    [span] = _load_trace(ours, project).spans
    assert span.name == "final"


def test_c17_one_span_id_under_two_traces(ours, project):
    """A span id is unique within its trace only."""
    ours.post(t1(), project=project)
    ours.post(t1(trace_id=b"\x01" * 16), project=project)

    assert len({span["trace_id"] for span in ours.spans(project)}) == 2


def test_c10_a_request_of_several_spans_keeps_their_order(ours, project):
    """Lines stand in the order of the request."""
    ids = [new_span_id() for _ in range(5)]

    ours.post(body_of(*(base_span(span_id=bytes.fromhex(i)) for i in ids)), project=project)

    assert _stored_ids(ours, project) == ids
