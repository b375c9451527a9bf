import asyncio
import json
import re

import pytest
from typer.testing import CliRunner

from halo_daemon.cli import app
from halo_daemon.cli.border import border
from halo_daemon.config import Config
from halo_daemon.config_file import load
from halo_daemon.config_keys import flat_values
from halo_daemon.errors import AmbiguousNameError, ConfigError, DeliveryError, UnknownNameError
from halo_daemon.notify.message import Message
from halo_daemon.notify.outbox import Outbox
from halo_daemon.testing.webhook_server import WebhookServer

SECRET = "whsec_" + "MDEy" * 8


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HALO_DAEMON_CONFIG", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments):
        result = CliRunner().invoke(app, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def _config(tmp_path, url, **more):
    targets = {"ops": {"type": "webhook", "url": url, "secret": SECRET}}
    routes = [{"to": ["ops"], "when": ["new"], "match": {"severity": "high", "project": "bot-*"}}]
    path = tmp_path / "halo.yaml"
    path.write_text(json.dumps({"notify": {"targets": targets, "routes": routes}, **more}))
    return ["--config", str(path), "--data", str(tmp_path / "data")]


def test_the_first_file_changes_nothing(run, tmp_path, monkeypatch):
    """What `init` writes gives the defaults, as it stands and with every key uncommented."""
    assert run("init").stdout == "halo-daemon.yaml\n"
    written = (tmp_path / "halo-daemon.yaml").read_text()
    head, _, keys = written.partition("version: 1\n")
    bare = tmp_path / "bare.yaml"
    bare.write_text(f"{head}version: 1\n{re.sub('(?m)^# ', '', keys)}")

    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": "/none"}
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for path in (tmp_path / "halo-daemon.yaml", bare):
        assert flat_values(load(path, environ)) == flat_values(load(None, environ))
    assert "receivers:" in bare.read_text().splitlines()


def test_a_file_that_is_there_is_never_overwritten(run, tmp_path):
    """The second `init` says so and leaves the file as it is."""
    (tmp_path / "halo-daemon.yaml").write_text("version: 1 # mine\n")

    assert run("init").stdout == "already_exists: halo-daemon.yaml\n"
    assert (tmp_path / "halo-daemon.yaml").read_text() == "version: 1 # mine\n"


def test_the_version_is_told_to_programs(run):
    """`version --json` is a document with its schema."""
    told = json.loads(run("version", "--json").stdout)

    assert told["schema"] == "halo.version/v1"
    assert run("version").stdout == f"halo-daemon {told['version']}\n"


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_completion_is_a_script_of_the_shell(run, shell):
    """It asks our own command for what may follow."""
    assert "_HALO_DAEMON_COMPLETE" in run("completion", shell).stdout


def test_the_next_times_of_a_schedule_are_told(run):
    """As many as asked for, in order."""
    (row,) = json.loads(run("schedule", "list", "--next", "3", "--json").stdout)["schedules"]

    assert row["schedule"] == "nightly"
    assert len(row["next"]) == 3
    assert row["next"] == sorted(row["next"])


def test_only_values_that_differ_are_shown(run, tmp_path):
    """Against the defaults, and against another file."""
    mine, other = tmp_path / "mine.yaml", tmp_path / "other.yaml"
    mine.write_text("storage: {min_free: 1GiB}\n")
    other.write_text("storage: {min_free: 2GiB}\n")

    assert run("config", "diff", "--config", str(mine)).stdout == "storage.min_free\t1GiB\t256MiB\n"
    told = json.loads(run("config", "diff", str(other), "--config", str(mine), "--json").stdout)
    assert {"key": "storage.min_free", "value": "1GiB", "other": "2GiB"} in told["differences"]


@pytest.mark.parametrize(
    ("facts", "targets"),
    [
        (["kind=new", "severity=high", "project=bot-a"], "ops\n"),
        (["kind=new", "severity=low", "project=bot-a"], ""),
        (["kind=report", "project=bot-a"], ""),
        (["severity=critical", "project=other"], ""),
    ],
)
def test_routes_tell_where_an_event_would_go(run, tmp_path, facts, targets):
    """The routes of the file decide, nothing is sent."""
    config = _config(tmp_path, "http://127.0.0.1:9/x")

    assert run("notify", "routes", *facts, *config).stdout == targets


@pytest.mark.parametrize("fact", ["severity", "colour=red", "severity=loud", "kind=odd"])
def test_a_fact_that_no_event_has_is_refused(run, tmp_path, fact):
    """What cannot be routed by is a wrong word."""
    with pytest.raises(ConfigError, match="cannot"):
        run("notify", "routes", fact, *_config(tmp_path, "http://127.0.0.1:9/x"))


def test_targets_are_listed_without_an_outbox(run, tmp_path):
    """A target that was never told anything waits for nothing, and no directory is made."""
    config = _config(tmp_path, "http://127.0.0.1:9/x")

    (row,) = json.loads(run("notify", "list", "--json", *config).stdout)["targets"]

    assert (row["target"], row["state"], row["waiting"]) == ("ops", "enabled", 0)
    assert SECRET not in json.dumps(row)
    assert row["url"] == "http://127.0.0.1:9/…"
    assert not (tmp_path / "data").exists()


def test_a_target_is_tried(run, tmp_path):
    """A target that takes the message is told of; one that does not, or is none, is an error."""

    async def tried() -> str:
        server = WebhookServer()
        async with server.listening():
            config = _config(tmp_path, server.url)
            return (await asyncio.to_thread(run, "notify", "test", "ops", *config)).stdout

    assert asyncio.run(tried()) == "ops accepted a test message\n"
    closed = _config(tmp_path, "http://127.0.0.1:9/x")
    with pytest.raises(DeliveryError, match="did not accept"):
        run("notify", "test", "ops", *closed)
    with pytest.raises(UnknownNameError, match="no such target"):
        run("notify", "test", "opps", *closed)


def _kept(tmp_path, number, target="ops"):
    """The outbox with one more message, given up."""
    outbox = Outbox(tmp_path / "data" / "outbox")
    body = b'{"type": "finding.new", "data": {}}'
    message = Message(f"msg_{number}", target, body, number, number, attempts=10)
    outbox.put(message)
    outbox.bury(message)
    return outbox


def test_a_message_that_was_given_up_is_tried_again(run, tmp_path):
    """The target gets it under its id, and nothing is left; the log shows it until then."""

    async def tried() -> tuple[str, str, list[str]]:
        server = WebhookServer()
        async with server.listening():
            config = _config(tmp_path, server.url)
            _kept(tmp_path, 1)
            listed = run("notify", "log", "--json", *config).stdout
            told = await asyncio.to_thread(run, "notify", "redeliver", "msg_1", *config)
        return listed, told.stdout, [one.headers["webhook-id"] for one in server.received]

    listed, told, received = asyncio.run(tried())

    (row,) = json.loads(listed)["messages"]
    assert (row["message"], row["state"], row["kind"]) == ("msg_1", "given up", "finding.new")
    assert row["due"] is None
    assert told == "ops accepted msg_1\n"
    assert received == ["msg_1"]
    config = _config(tmp_path, "http://127.0.0.1:9/x")
    assert json.loads(run("notify", "log", "--json", *config).stdout)["messages"] == []


def test_a_message_that_is_refused_again_waits(run, tmp_path):
    """The failure is told, and the message is in line with one attempt behind it."""
    config = _config(tmp_path, "http://127.0.0.1:9/x")
    outbox = _kept(tmp_path, 1)

    with pytest.raises(DeliveryError, match="did not accept msg_1"):
        run("notify", "redeliver", "msg_1", *config)

    assert [message.attempts for message in outbox.pending()] == [1]
    assert outbox.dead_letters() == []


def test_a_message_is_left_to_the_process_that_delivers(run, tmp_path):
    """While another one delivers, the message is put in line for it."""
    config = _config(tmp_path, "http://127.0.0.1:9/x")
    with _kept(tmp_path, 1).claim():
        assert run("notify", "redeliver", "msg_1", *config).stdout == "in line: msg_1\n"


@pytest.mark.parametrize(
    ("word", "error", "told"),
    [
        ("msg_9", UnknownNameError, "cannot find message `msg_9`"),
        ("msg_", AmbiguousNameError, "2 begin so"),
        ("msg_2", ConfigError, "no target `gone` is configured"),
        ("msg_1", ConfigError, "nothing is taken at its address any more"),
    ],
)
def test_a_message_that_cannot_be_delivered_is_left_where_it_is(run, tmp_path, word, error, told):
    """An unknown or short id, a target that is not configured, or one that is gone."""
    config = _config(tmp_path, "http://127.0.0.1:9/x")
    _kept(tmp_path, 1).disable("ops", "http://127.0.0.1:9/x")
    outbox = _kept(tmp_path, 2, target="gone")

    with pytest.raises(error, match=told):
        run("notify", "redeliver", word, *config)

    assert len(outbox.dead_letters()) == 2


def test_where_nobody_listens_sending_ends_with_5(run):
    """The exit status tells a daemon that is away from one that refuses."""
    with pytest.raises(SystemExit) as caught, border(as_json=False):
        run("send", "--endpoint", "http://127.0.0.1:9")

    assert caught.value.code == 5
    assert Config().receivers.otlp.http.endpoint.port == 4318
