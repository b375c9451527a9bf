"""Deliveries to a real server on a loopback socket."""

import shutil
import ssl
import subprocess
import time
from email.utils import formatdate

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook as ReferenceWebhook

from halo_daemon.config_notify import WebhookTarget
from halo_daemon.notify.message import Message, Verdict
from halo_daemon.notify.targets import notifiers_of
from halo_daemon.notify.targets.webhook import Webhook, retry_after_s
from halo_daemon.testing.webhook_server import Answer, WebhookServer

SECRET = "whsec_" + "MDEy" * 8
BODY = '{"type":"report.created","data":{"headline":"café"}}'.encode()
MESSAGE = Message("msg_1", "ops", BODY, 0, 0)


def _webhook(url: str, *, timeout_s: float = 10.0, **options) -> Webhook:
    settings = {key: options.pop(key) for key in ("block_private", "allow_http") if key in options}
    target = WebhookTarget(type="webhook", url=url, secret=SecretStr(SECRET), **settings)
    return Webhook(target, now_unix_ns=time.time_ns, timeout_s=timeout_s, **options)


async def test_the_reference_library_verifies_what_arrives():
    """Body, id, time and signature are what the specification's own library accepts."""
    server = WebhookServer()

    async with server.listening():
        outcome = await _webhook(server.url).deliver(MESSAGE)

    (received,) = server.received
    assert outcome.verdict is Verdict.ACCEPTED
    assert received.request_line == "POST /hook?key=1 HTTP/1.1"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["host"] == f"127.0.0.1:{server.port}"
    assert received.headers["webhook-id"] == "msg_1"
    assert received.body == BODY
    document = ReferenceWebhook(SECRET).verify(received.body.decode(), dict(received.headers))
    assert document["type"] == "report.created"


async def test_each_attempt_is_signed_anew_under_the_same_id():
    """The id is the receiver's key against duplicates, the time that of the attempt."""
    server = WebhookServer()
    seconds = [1_790_000_000, 1_790_000_300]
    target = WebhookTarget(type="webhook", url="http://localhost/", secret=SecretStr(SECRET))

    clock = iter(second * 10**9 for second in seconds)
    async with server.listening():
        settings = target.model_copy(update={"url": server.url})
        webhook = Webhook(settings, now_unix_ns=lambda: next(clock))
        for _ in seconds:
            await webhook.deliver(MESSAGE)

    assert [r.headers["webhook-timestamp"] for r in server.received] == [str(s) for s in seconds]
    assert {r.headers["webhook-id"] for r in server.received} == {"msg_1"}
    assert len({r.headers["webhook-signature"] for r in server.received}) == 2


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.ACCEPTED),
        (299, Verdict.ACCEPTED),
        (301, Verdict.FAILED),
        (400, Verdict.FAILED),
        (410, Verdict.GONE),
        (429, Verdict.FAILED),
        (500, Verdict.FAILED),
        (503, Verdict.FAILED),
    ],
)
async def test_only_a_2xx_is_success(status, verdict):
    """Everything else is a failure, and 410 the last one."""
    server = WebhookServer(answers=[Answer(status)])

    async with server.listening():
        outcome = await _webhook(server.url).deliver(MESSAGE)

    assert outcome.verdict is verdict


async def test_a_redirect_is_not_followed():
    """A target cannot send the message on to somewhere else."""
    elsewhere = WebhookServer()
    server = WebhookServer()

    async with elsewhere.listening(), server.listening():
        server.answers = [Answer(307, {"location": elsewhere.url})]
        outcome = await _webhook(server.url).deliver(MESSAGE)

    assert outcome.verdict is Verdict.FAILED
    assert elsewhere.received == []


async def test_a_target_that_hangs_is_given_up():
    """An attempt ends at its timeout."""
    server = WebhookServer(answers=[Answer(hangs=True)])

    async with server.listening():
        outcome = await _webhook(server.url, timeout_s=0.2).deliver(MESSAGE)

    assert outcome.verdict is Verdict.FAILED
    assert "no answer within 0.2 s" in outcome.reason


async def test_a_target_that_drops_the_connection_has_failed():
    """No answer is no success."""
    server = WebhookServer(answers=[Answer(drops=True)])

    async with server.listening():
        outcome = await _webhook(server.url).deliver(MESSAGE)

    assert outcome.verdict is Verdict.FAILED


async def test_a_large_answer_is_not_read():
    """What the target says is ignored, however much it is."""
    server = WebhookServer(answers=[Answer(200, {"content-length": str(2**40)}, b"x" * 1000)])

    async with server.listening():
        outcome = await _webhook(server.url).deliver(MESSAGE)

    assert outcome.verdict is Verdict.ACCEPTED


async def test_a_closed_port_is_a_failure():
    """A target that is not there is tried again later."""
    server = WebhookServer()
    async with server.listening():
        url = server.url

    outcome = await _webhook(url).deliver(MESSAGE)

    assert outcome.verdict is Verdict.FAILED
    assert "key=1" not in outcome.reason


async def test_the_target_can_ask_for_a_pause():
    """Retry-After is handed on."""
    server = WebhookServer(answers=[Answer(429, {"retry-after": "120"})])

    async with server.listening():
        outcome = await _webhook(server.url).deliver(MESSAGE)

    assert (outcome.verdict, outcome.retry_after_s) == (Verdict.FAILED, 120.0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        (formatdate(1_000_060, usegmt=True), 60.0),
        (formatdate(999_000, usegmt=True), 0.0),
        ("-5", 0.0),
        ("soon", 0.0),
        ("", 0.0),
        ("9" * 400, 0.0),
        ("Mon, 99 Foo", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(text, seconds):
    """Whatever stands in the header, a pause of 0 or more comes out."""
    assert retry_after_s(text, now_unix_ns=1_000_000 * 10**9) == pytest.approx(seconds)


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "0.0.0.0", "::ffff:169.254.0.9"])
async def test_a_name_that_resolves_to_a_forbidden_address_is_not_called(address):
    """One forbidden address among the answers refuses the attempt; nothing is sent."""
    server = WebhookServer()

    async def resolve(host, port):
        return ["127.0.0.1", address]

    async with server.listening():
        url = f"http://hooks.test:{server.port}/"
        outcome = await _webhook(url, allow_http=True, resolve=resolve).deliver(MESSAGE)

    assert outcome.verdict is Verdict.FAILED
    assert "never called" in outcome.reason
    assert server.received == []


async def test_private_addresses_can_be_blocked():
    """With the switch set, a loopback target is refused."""
    server = WebhookServer()

    async with server.listening():
        outcome = await _webhook(server.url, block_private=True).deliver(MESSAGE)

    assert outcome.verdict is Verdict.FAILED
    assert server.received == []


async def test_the_connection_goes_to_the_address_that_was_checked():
    """The name is asked for once per attempt, and sent as Host."""
    server = WebhookServer()
    asked = []

    async def resolve(host, port):
        asked.append((host, port))
        return ["127.0.0.1"]

    async with server.listening():
        url = f"http://hooks.test:{server.port}/x"
        outcome = await _webhook(url, allow_http=True, resolve=resolve).deliver(MESSAGE)

    assert outcome.verdict is Verdict.ACCEPTED
    assert asked == [("hooks.test", server.port)]
    assert server.received[0].headers["host"] == f"hooks.test:{server.port}"


async def test_another_address_is_tried_when_one_does_not_answer():
    """A name with several addresses works as long as one of them does."""
    server = WebhookServer()

    async def resolve(host, port):
        return ["127.0.0.2", "::1", "127.0.0.1"]

    async with server.listening():
        url = f"http://hooks.test:{server.port}/x"
        outcome = await _webhook(url, allow_http=True, resolve=resolve).deliver(MESSAGE)

    assert outcome.verdict is Verdict.ACCEPTED


@pytest.mark.parametrize("host", ["a..b", "no-such-host.invalid"])
async def test_a_name_that_does_not_resolve_is_a_failure(host):
    """A resolver's error is an outcome, not a crash."""
    outcome = await _webhook(f"https://{host}/", timeout_s=5.0).deliver(MESSAGE)

    assert outcome.verdict is Verdict.FAILED


async def test_a_proxy_in_the_environment_is_not_used(monkeypatch):
    """Deliveries go where the configuration says and nowhere else."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server = WebhookServer()

    async with server.listening():
        outcome = await _webhook(server.url).deliver(MESSAGE)

    assert outcome.verdict is Verdict.ACCEPTED


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for hooks.test: the file that holds it and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    directory = tmp_path_factory.mktemp("tls")
    command = (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=hooks.test"
        " -addext subjectAltName=DNS:hooks.test -keyout key.pem -out cert.pem"
    )
    subprocess.run([openssl, *command.split()], cwd=directory, check=True, capture_output=True)
    return directory / "cert.pem", directory / "key.pem"


@pytest.mark.parametrize(
    ("host", "verdict"), [("hooks.test", Verdict.ACCEPTED), ("other.test", Verdict.FAILED)]
)
async def test_the_certificate_must_belong_to_the_name(certificate, host, verdict):
    """Although the connection goes to an address, TLS is checked against the name."""
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(*certificate)
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    server = WebhookServer()

    async def resolve(host, port):
        return ["127.0.0.1"]

    async with server.listening(tls=server_tls):
        url = f"https://{host}:{server.port}/"
        outcome = await _webhook(url, resolve=resolve, tls=trusting).deliver(MESSAGE)

    assert outcome.verdict is verdict


async def test_an_unknown_certificate_is_refused(certificate):
    """The system's trust decides where nothing else is given."""
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(*certificate)
    server = WebhookServer()

    async with server.listening(tls=server_tls):
        outcome = await _webhook(f"https://localhost:{server.port}/").deliver(MESSAGE)

    assert outcome.verdict is Verdict.FAILED
    assert server.received == []


async def test_every_configured_target_has_a_notifier():
    """The configuration's names are the notifiers' names."""
    target = WebhookTarget(type="webhook", url="https://ops.example/", secret=SecretStr(SECRET))

    assert list(notifiers_of({"ops": target}, now_unix_ns=time.time_ns)) == ["ops"]
