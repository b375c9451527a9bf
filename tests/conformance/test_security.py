"""Rows C27, C37, C40 to C42 with the settings that they are about."""

import http.client
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest

from halo_daemon.auth import KeyFile, make_key
from halo_daemon.store.paths import DataPaths
from tests.conformance.certificates import Pair, make_authority, make_certificate
from tests.conformance.conftest import daemon_in, in_time, receiver_of
from tests.conformance.receiver import EXPORT, PROTOBUF, Receiver
from tests.conformance.requests import SPAN_ID, base_span, request_of, t1

ORIGIN = "https://app.example"
_PREFLIGHT = {"access-control-request-method": "POST"}


@pytest.fixture(scope="module")
def browsers(tmp_path_factory):
    """A receiver that lets pages of one origin send."""
    environ = {"HALO_DAEMON__RECEIVERS__OTLP__HTTP__CORS_ORIGINS": f'["{ORIGIN}"]'}
    with daemon_in(tmp_path_factory.mktemp("browsers"), environ) as daemon:
        receiver = receiver_of(daemon)
        yield receiver
        receiver.close()


def test_c27_an_allowed_origin_may_send(browsers):
    """The preflight of an allowed page is answered 204 with exactly its origin."""
    preflight = browsers.request("OPTIONS", "/v1/traces", None, {"origin": ORIGIN, **_PREFLIGHT})
    posted = browsers.post(t1(), headers={"origin": ORIGIN})

    assert preflight.status == 204
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in preflight.headers
    assert (posted.status, posted.headers["access-control-allow-origin"]) == (200, ORIGIN)


@pytest.mark.parametrize("origin", ["https://evil.example", f"{ORIGIN}.evil.example", "null"])
def test_c27_another_origin_may_not(browsers, origin):
    """Any other page is told nothing."""
    preflight = browsers.request("OPTIONS", "/v1/traces", None, {"origin": origin, **_PREFLIGHT})

    assert "access-control-allow-origin" not in preflight.headers
    assert preflight.status == 405


def test_c37_many_idle_connections_keep_nobody_out(receiver):
    """Connections that say nothing, or say it slowly, do not keep the others waiting."""
    idle = [receiver.connect() for _ in range(600)]
    for connection in idle[:100]:
        connection.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: loc")
    for connection in idle[100:200]:
        connection.sendall(
            b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
            b"Content-Type: application/x-protobuf\r\n\r\nab"
        )

    answers = [receiver.post(t1()).status, receiver.export(t1()).code]

    for connection in idle:
        connection.close()
    assert answers == [200, grpc.StatusCode.OK]


def _is_closed(connection):
    connection.settimeout(60.0)
    try:
        return not connection.recv(1)
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def _is_taken(answer):
    return answer.status == 200 if hasattr(answer, "status") else answer.code is grpc.StatusCode.OK


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_c37_connections_beyond_the_limit_are_closed_and_the_others_served(tmp_path, transport):
    """Each listener keeps as many connections as it is told; one that ends makes room."""
    limit = 8
    environ = {"HALO_DAEMON__RECEIVERS__MAX_CONNECTIONS": str(limit)}
    with daemon_in(tmp_path, environ) as daemon:
        address = daemon.http if transport == "http" else daemon.grpc
        open_ones = [
            socket.create_connection(("127.0.0.1", _port(address)), timeout=60)
            for _ in range(limit)
        ]
        beyond = socket.create_connection(("127.0.0.1", _port(address)), timeout=60)
        assert _is_closed(beyond)
        beyond.close()
        for each in open_ones:
            each.close()

        receiver = receiver_of(daemon)
        send = receiver.post if transport == "http" else receiver.export
        assert in_time(lambda: _is_taken(send(t1())))
        receiver.close()


class Secured(NamedTuple):
    """A receiver behind TLS, and who signed its certificate."""

    receiver: Receiver
    authority: Pair
    cert: Pair
    directory: object


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    """A receiver that speaks TLS."""
    directory = tmp_path_factory.mktemp("tls")
    authority = make_authority(directory, "authority")
    cert = make_certificate(directory, "first", authority)
    environ = {
        "HALO_DAEMON__RECEIVERS__OTLP__TLS__CERT_FILE": str(cert.cert),
        "HALO_DAEMON__RECEIVERS__OTLP__TLS__KEY_FILE": str(cert.key),
    }
    with daemon_in(directory, environ) as daemon:
        receiver = receiver_of(daemon)
        yield Secured(receiver, authority, cert, directory)
        receiver.close()


def _trusting(authority, **options):
    context = ssl.create_default_context(cafile=authority.cert)
    for name, value in options.items():
        setattr(context, name, value)
    return context


def _port(address):
    return int(address.rpartition(":")[2])


def _post_tls(receiver, context):
    connection = http.client.HTTPSConnection(
        "localhost", _port(receiver.http_address), context=context, timeout=60
    )
    try:
        connection.request("POST", "/v1/traces", t1(), {"content-type": PROTOBUF})
        return connection.getresponse().status
    finally:
        connection.close()


def _export_tls(receiver, authority, client=None):
    credentials = grpc.ssl_channel_credentials(
        authority.cert.read_bytes(),
        client.key.read_bytes() if client else None,
        client.cert.read_bytes() if client else None,
    )
    with grpc.secure_channel(f"localhost:{_port(receiver.grpc_address)}", credentials) as channel:
        return channel.unary_unary(EXPORT)(t1(), timeout=60)


def _certificate(address, authority):
    with (
        socket.create_connection(("localhost", _port(address)), timeout=60) as plain,
        _trusting(authority).wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        return secure.getpeercert(binary_form=True)


def _are_shown(certificate, addresses, authority):
    return all(_certificate(each, authority) == certificate for each in addresses)


def test_c40_both_transports_speak_tls(secured):
    """HTTP and gRPC are answered over TLS."""
    assert _post_tls(secured.receiver, _trusting(secured.authority)) == 200
    assert _export_tls(secured.receiver, secured.authority) == b""


@pytest.mark.parametrize("command", [("status", "--ready"), ("canary", "--traces", "1")])
def test_c40_our_own_commands_speak_tls(secured, command):
    """Status and canary find the daemon behind its certificate, which they trust as it is."""
    settings = {
        "HTTP__ENDPOINT": secured.receiver.http_address,
        "TLS__CERT_FILE": str(secured.cert.cert),
        "TLS__KEY_FILE": str(secured.cert.key),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "halo_daemon", *command, "--data", str(secured.receiver.data)],
        env={
            **{f"HALO_DAEMON__RECEIVERS__OTLP__{key}": value for key, value in settings.items()},
            "PATH": "/usr/bin:/bin",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_c40_plain_text_on_a_tls_port_gets_no_answer(secured):
    """Without TLS there is no HTTP answer."""
    with pytest.raises((OSError, http.client.HTTPException)):
        secured.receiver.post(t1())


def test_c40_tls_1_1_is_refused(secured):
    """The handshake of an old protocol fails."""
    context = _trusting(secured.authority)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1

    with pytest.raises(OSError):
        _post_tls(secured.receiver, context)


def test_c40_a_new_certificate_is_used_without_a_restart(secured):
    """After the files were replaced, new connections of both transports see the new one."""
    addresses = (secured.receiver.http_address, secured.receiver.grpc_address)
    before = {_certificate(each, secured.authority) for each in addresses}
    second = make_certificate(secured.directory, "second", secured.authority)
    shutil.copy(second.key, secured.cert.key)
    shutil.copy(second.cert, secured.cert.cert)

    for _ in range(100):
        after = {_certificate(each, secured.authority) for each in addresses}
        if len(after) == 1 and not after & before:
            break
        threading.Event().wait(0.05)

    assert len(after) == 1
    assert not after & before
    assert _post_tls(secured.receiver, _trusting(secured.authority)) == 200


def test_c40_certificates_are_replaced_under_load_without_an_error(secured):
    """While both transports send, the files change five times, half-written ones among them."""
    is_over = threading.Event()
    failures: list[Exception] = []
    sent: Counter[str] = Counter()

    def keep_sending(transport, send):
        while not is_over.is_set():
            try:
                send()
                sent[transport] += 1
            except (OSError, http.client.HTTPException, grpc.RpcError) as exc:
                failures.append(exc)

    def post():
        assert _post_tls(secured.receiver, _trusting(secured.authority)) == 200

    senders = [
        threading.Thread(target=keep_sending, args=("http", post)),
        threading.Thread(
            target=keep_sending,
            args=("grpc", lambda: _export_tls(secured.receiver, secured.authority)),
        ),
    ]
    for sender in senders:
        sender.start()
    addresses = (secured.receiver.http_address, secured.receiver.grpc_address)
    for number in range(5):
        renewed = make_certificate(secured.directory, f"renewed-{number}", secured.authority)
        secured.cert.key.write_bytes(renewed.key.read_bytes()[:100])
        time.sleep(0.1)
        shutil.copy(renewed.key, secured.cert.key)
        shutil.copy(renewed.cert, secured.cert.cert)
        wanted = ssl.PEM_cert_to_DER_cert(renewed.cert.read_text())
        assert in_time(partial(_are_shown, wanted, addresses, secured.authority))
    is_over.set()
    for sender in senders:
        sender.join()

    assert failures == []
    assert min(sent["http"], sent["grpc"]) > 0


def test_c40_with_a_client_authority_only_its_clients_are_served(tmp_path):
    """Without a certificate, with an expired one and with a stranger's, the handshake fails."""
    authority = make_authority(tmp_path, "authority")
    stranger = make_authority(tmp_path, "stranger")
    cert = make_certificate(tmp_path, "server", authority)
    client = make_certificate(tmp_path, "client", authority)
    strange = make_certificate(tmp_path, "strange", stranger)
    environ = {
        "HALO_DAEMON__RECEIVERS__OTLP__TLS__CERT_FILE": str(cert.cert),
        "HALO_DAEMON__RECEIVERS__OTLP__TLS__KEY_FILE": str(cert.key),
        "HALO_DAEMON__RECEIVERS__OTLP__TLS__CLIENT_CA_FILE": str(authority.cert),
    }
    with daemon_in(tmp_path, environ) as daemon:
        receiver = receiver_of(daemon)
        good = _trusting(authority)
        good.load_cert_chain(client.cert, client.key)
        wrong = _trusting(authority)
        wrong.load_cert_chain(strange.cert, strange.key)

        assert _post_tls(receiver, good) == 200
        assert _export_tls(receiver, authority, client) == b""
        for context in (_trusting(authority), wrong):
            with pytest.raises((OSError, http.client.HTTPException)):
                _post_tls(receiver, context)
        with pytest.raises(grpc.RpcError):
            _export_tls(receiver, authority)
        receiver.close()


class Keyed(NamedTuple):
    """A receiver that asks for keys."""

    receiver: Receiver
    keys: KeyFile
    log_path: Path


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    """A receiver that asks for keys, on loopback."""
    directory = tmp_path_factory.mktemp("keyed")
    with daemon_in(directory, {"HALO_DAEMON__RECEIVERS__AUTH__MODE": "keys"}) as daemon:
        receiver = receiver_of(daemon)
        yield Keyed(receiver, KeyFile(DataPaths(daemon.data).keys), daemon.log_path)
        receiver.close()


def _new_key(keyed, project):
    new = make_key(project)
    keyed.keys.add(new.key)
    return new


@pytest.mark.parametrize("authorization", [None, "Basic YTpi", "Bearer wrong"])
def test_c41_without_a_key_nothing_is_taken(keyed, authorization):
    """No header, another scheme and a wrong token get 401 and UNAUTHENTICATED."""
    headers = {"authorization": authorization} if authorization else {}

    answer = keyed.receiver.post(t1(), headers=headers)
    over_grpc = keyed.receiver.export(t1(), metadata=tuple(headers.items()))

    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.message
    assert over_grpc.code is grpc.StatusCode.UNAUTHENTICATED


def test_c41_the_key_is_checked_before_the_body_is_read(keyed):
    """A sender without a key is answered although its body was not sent."""
    [answer] = keyed.receiver.raw(
        b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
        b"Content-Type: application/x-protobuf\r\n\r\n"
    )

    assert answer.status == 401


def test_c41_a_key_writes_to_its_own_project_whatever_the_attributes_say(keyed, project):
    """No attribute decides the project where a key does."""
    new = _new_key(keyed, project)
    request = request_of(base_span())
    attribute = request.resource_spans[0].resource.attributes.add(key="openinference.project.name")
    attribute.value.string_value = "another"
    headers = {"authorization": f"Bearer {new.text}"}

    answer = keyed.receiver.post(request.SerializeToString(), headers=headers)
    over_grpc = keyed.receiver.export(t1(), metadata=tuple(headers.items()))

    assert (answer.status, over_grpc.code) == (200, grpc.StatusCode.OK)
    assert [span["span_id"] for span in keyed.receiver.spans(project)] == [SPAN_ID, SPAN_ID]


def test_c41_a_key_of_another_project_is_forbidden(keyed, project):
    """Naming another project than the key's gets 403 and PERMISSION_DENIED."""
    new = _new_key(keyed, project)
    headers = {"authorization": f"bearer {new.text}"}

    answer = keyed.receiver.post(t1(), project="another", headers=headers)
    over_grpc = keyed.receiver.export(t1(), project="another", metadata=tuple(headers.items()))

    assert answer.status == 403
    assert over_grpc.code is grpc.StatusCode.PERMISSION_DENIED


def test_c41_a_revoked_key_is_refused_at_once(keyed, project):
    """Keys change without a restart."""
    new = _new_key(keyed, project)
    headers = {"authorization": f"Bearer {new.text}"}
    before = keyed.receiver.post(t1(), headers=headers).status

    keyed.keys.revoke(new.key.id)

    assert (before, keyed.receiver.post(t1(), headers=headers).status) == (200, 401)


def _are_more(answers, number):
    return len(answers) > number


def test_c41_keys_are_rotated_under_load_without_a_refusal(keyed, project):
    """A sender that changes to a new key before its old one is revoked is never refused."""
    keys = [_new_key(keyed, project)]
    statuses: list[int] = []
    is_over = threading.Event()

    def keep_sending():
        while not is_over.is_set():
            headers = {"authorization": f"Bearer {keys[-1].text}"}
            statuses.append(keyed.receiver.post(t1(), headers=headers).status)

    sender = threading.Thread(target=keep_sending)
    sender.start()
    for _ in range(10):
        old = keys[-1]
        keys.append(_new_key(keyed, project))
        assert in_time(partial(_are_more, statuses, len(statuses) + 1))
        keyed.keys.revoke(old.key.id)
    is_over.set()
    sender.join()

    assert set(statuses) == {200}


def test_c41_no_secret_is_in_the_log(keyed, project):
    """Neither a key that was taken nor one that was refused is written down."""
    new = _new_key(keyed, project)
    wrong = "hd_ingest_wrong-but-secret"
    for text in (new.text, wrong):
        keyed.receiver.post(t1(), headers={"authorization": f"Bearer {text}"})
        keyed.receiver.export(t1(), metadata=(("authorization", f"Bearer {text}"),))

    log = keyed.log_path.read_text()
    keys = DataPaths(keyed.receiver.data).keys.read_text()
    assert new.text not in log + keys
    assert wrong not in log


def test_c41_an_address_for_all_machines_needs_a_key_or_a_word(tmp_path):
    """Listening beyond loopback without any key refuses to start, and says how to go on."""
    addresses = ("--grpc", "0.0.0.0:0", "--http", "127.0.0.1:0")

    run = subprocess.run(
        [sys.executable, "-m", "halo_daemon", "serve", "--data", str(tmp_path), *addresses],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert run.returncode == 2
    assert "receivers.auth.mode" in run.stderr


@pytest.mark.parametrize("host", ["evil.example", "evil.example:4318"])
def test_c42_a_request_for_another_host_is_refused(ours, host):
    """A page that points its name to loopback is found out by its Host header."""
    answer = ours.post(t1(), headers={"host": host})

    assert answer.status == 403
    assert answer.message
