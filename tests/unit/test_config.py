import pytest
from pydantic import SecretStr, ValidationError

from halo_daemon.config import (
    Config,
    GrpcConfig,
    RouteRule,
    ScheduleEntry,
)
from halo_daemon.config_checks import is_loopback, signing_key
from halo_daemon.config_keys import settings
from halo_daemon.config_notify import NotifyRoute, WebhookTarget

SECRET = "whsec_" + "MDEy" * 8


def test_the_defaults_are_valid_themselves():
    """Every default passes the checks that a file's value would have to pass."""
    written = Config().model_dump(by_alias=True, mode="json", exclude_none=True)

    assert Config.model_validate_json(Config().model_dump_json(exclude_none=True)) == Config()
    assert written["receivers"]["otlp"]["grpc"]["max_message"] == "64MiB"


def test_nothing_listens_beyond_this_machine_by_default():
    """Both receivers bind to loopback unless told otherwise."""
    otlp = Config().receivers.otlp

    assert is_loopback(otlp.grpc.endpoint.host)
    assert is_loopback(otlp.http.endpoint.host)


def test_every_key_has_a_sentence():
    """No key is left without its reference documentation."""
    assert [setting.key for setting in settings() if not setting.sentence.endswith(".")] == []


def test_code_may_give_plain_numbers():
    """Code builds a section with bytes and seconds, without texts."""
    assert GrpcConfig(max_message_bytes=1024).max_message_bytes == 1024


@pytest.mark.parametrize(
    "cron", ["0 3 * * *", "*/5 * * * mon-fri", "@daily", "0 0 * * 7", "0 7 1,L * *"]
)
def test_cron_expressions_are_read(cron):
    """Five fields, names and the words of cron are accepted."""
    assert ScheduleEntry(cron=cron).cron == cron


@pytest.mark.parametrize(
    "cron",
    ["", "* * * *", "* * * * * *", "61 * * * *", "0 0 30 2 *", "@noon", "a b c d e", "9" * 5000],
)
def test_other_texts_are_not_cron_expressions(cron):
    """Wrong fields, and days that never come, are refused."""
    with pytest.raises(ValidationError, match="cron"):
        ScheduleEntry(cron=cron)


@pytest.mark.parametrize("name", ["", "Mars/Phobos", "../../etc/passwd", "Europe"])
def test_unknown_time_zones_are_refused(name):
    """Only zones that exist are accepted, and no path leaves their directory."""
    with pytest.raises(ValidationError, match="time zone"):
        ScheduleEntry(timezone=name)


@pytest.mark.parametrize("keys", [{}, {"header": "a", "resource": "b"}])
def test_a_rule_names_one_place(keys):
    """A routing rule without a place, or with two, is refused."""
    with pytest.raises(ValidationError, match="either `header` or `resource`"):
        RouteRule(**keys)


def test_a_header_is_matched_in_lower_case():
    """GRPC metadata keys are lower case, so is the rule."""
    assert RouteRule(header="X-Project-Name").header == "x-project-name"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://ops.example/",
        "https://",
        "https://user:word@ops.example/",
        "https://ops.example:99999/",
        "https://ops.example/a b",
        "https://ops.example/\nx",
        "https://[::1",
        "http://ops.example/",
    ],
)
def test_unsafe_urls_are_refused(url):
    """A webhook is an https URL without user, spaces or line ends."""
    with pytest.raises(ValidationError):
        WebhookTarget(type="webhook", url=url, secret=SecretStr(SECRET))


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "http://localhost/", "http://[::1]:80/"])
def test_plain_http_is_for_this_machine(url):
    """A receiver on the same machine needs no TLS."""
    assert WebhookTarget(type="webhook", url=url, secret=SecretStr(SECRET)).url == url


@pytest.mark.parametrize("secret", ["", "whsec_!!", "whsec_AAAA", "MDEy" * 8, "x" + SECRET])
def test_a_wrong_secret_is_refused_and_not_repeated(secret):
    """The message says what is wrong without the secret."""
    with pytest.raises(ValueError, match="the secret") as caught:
        signing_key(secret)

    assert not secret or secret not in str(caught.value)


def test_a_secret_is_not_printed():
    """A target's text form hides its secret."""
    target = WebhookTarget(type="webhook", url="https://ops.example/", secret=SecretStr(SECRET))

    assert SECRET not in f"{target!r}{target.model_dump_json()}"


def test_a_route_goes_somewhere():
    """A route without targets is refused."""
    with pytest.raises(ValidationError):
        NotifyRoute(to=())
