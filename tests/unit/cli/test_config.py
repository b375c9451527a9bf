import json
import socket

import pytest
from typer.testing import CliRunner

from halo_daemon.cli.config import app
from halo_daemon.errors import ConfigError

SECRET = "whsec_" + "MDEy" * 8


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a verb of `config` on a file of the given text."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HALO_DAEMON_CONFIG", "XDG_STATE_HOME", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "halo.yaml"

    def run(*arguments, text=""):
        path.write_text(text, encoding="utf-8")
        result = CliRunner().invoke(app, [*arguments, "--config", str(path)])
        if isinstance(result.exception, ConfigError):
            raise result.exception
        return result

    return run


def test_a_good_file_is_ok(run):
    """Nothing is started, and nothing is created."""
    result = run("validate", "--no-environment")

    assert result.exit_code == 0
    assert "0 warnings" in result.stdout


def test_a_bad_file_names_its_mistakes(run):
    """The mistakes are those that a start would name."""
    with pytest.raises(ConfigError) as caught:
        run("validate", "--no-environment", text="storage: {min_fre: 1}\nshutdown_grace: 5\n")

    assert len(caught.value.diagnostics) == 2


def test_a_warning_can_be_made_to_count(run):
    """A literal secret works, and fails the check when warnings are denied."""
    text = f"notify:\n  targets:\n    ops: {{type: webhook, url: https://a.example, secret: {SECRET}}}\n"

    lenient = run("validate", "--no-environment", text=text)
    strict = run("validate", "--no-environment", "--deny-warnings", text=text)

    assert (lenient.exit_code, strict.exit_code) == (0, 1)
    assert "literal secret" in lenient.stderr
    assert SECRET not in lenient.output


def test_a_taken_port_is_a_problem_with_the_machine(run, tmp_path):
    """The check names the key whose port is taken, and the data directory is not created."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = f"receivers: {{otlp: {{grpc: {{endpoint: '127.0.0.1:{port}'}}, http: {{endpoint: '127.0.0.1:0'}}}}}}\n"
        with pytest.raises(ConfigError, match=r"receivers.otlp.grpc.endpoint: cannot bind"):
            run("validate", text=text)

    assert not (tmp_path / ".local").exists()


def test_effective_values_are_shown_without_secrets(run):
    """Each value stands by its key and with its origin; secrets are masked."""
    text = f"notify:\n  targets:\n    ops: {{type: webhook, url: https://a.example/hook/t0ken, secret: {SECRET}}}\n"

    document = json.loads(run("show", "--json", text=text).stdout)

    assert document["values"]["storage.min_free"] == "256MiB"
    assert document["origins"]["storage.min_free"] == "default"
    assert document["origins"]["notify.targets.ops.url"].endswith("halo.yaml:3:31")
    assert SECRET not in json.dumps(document)
    # Who knows where to post often needs to know no more.
    assert document["values"]["notify.targets.ops.url"] == '"https://a.example/…"'


def test_the_origin_of_each_value_can_be_shown(run):
    """A tab-separated row per key: key, value, origin."""
    rows = run("show", "--origin", text="shutdown_grace: 3s\n").stdout.splitlines()

    assert [row for row in rows if row.startswith("shutdown_grace\t3s\t")]


def test_a_key_is_explained(run):
    """Meaning, kind, default, effective value and origin of one key."""
    output = run("explain", "storage.min_free", text="storage: {min_free: 1GiB}\n").stdout

    for words in ("Free space", "size", "256MiB", "1GiB", "halo.yaml:1:21"):
        assert words in output


def test_a_key_is_explained_beside_a_broken_file(run):
    """A file that is wrong does not keep its owner from reading what would be right."""
    result = run("explain", "storage.min_free", text="storage: {min_free: lots}\n")

    assert result.exit_code == 0
    assert "256MiB" in result.stdout
    assert "is not a size" in result.stderr


def test_an_unknown_key_gets_the_nearest(run):
    """A typing mistake is answered with the key that was meant."""
    with pytest.raises(ConfigError, match=r'did you mean "storage\.min_free"'):
        run("explain", "storage.min_fre")


def test_the_schema_is_printed():
    """The schema goes to stdout as JSON."""
    result = CliRunner().invoke(app, ["schema"])

    assert json.loads(result.stdout)["$id"] == "halo.config/v1"
