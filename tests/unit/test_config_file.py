from pathlib import Path

import pytest

from halo_daemon.config import Config
from halo_daemon.config_file import default_data_dir, find_file, load, load_with_origins
from halo_daemon.errors import ConfigError

SECRET = "whsec_" + "MDEy" * 8
TARGET = (
    "notify: {{targets: {{ops: {{type: webhook, url: https://ops.example/, secret: '{}'}}}}}}\n"
)


@pytest.fixture
def environ(tmp_path):
    """An environment with a home and nothing else."""
    return {"HOME": str(tmp_path)}


@pytest.fixture
def write(tmp_path):
    """Write a configuration file and say where it is."""

    def write(text: str) -> Path:
        path: Path = tmp_path / "halo.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def _diagnostics(path: Path, environ: dict[str, str], **overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, environ, overrides=overrides)
    return [line.removeprefix(f"{path}:") for line in caught.value.diagnostics]


def test_without_a_file_the_defaults_hold(environ, tmp_path, monkeypatch):
    """No file, no variable, no flag: the defaults, with the data directory in the home."""
    monkeypatch.chdir(tmp_path)

    config = load(None, environ)

    assert config.data.dir == tmp_path / ".local/state/halo-daemon"
    assert config.model_copy(update={"data": Config().data}) == Config()


def test_a_flag_wins_over_the_environment_and_that_over_the_file(write, environ):
    """Each of the three sources overrides the one before, and is named as the origin."""
    path = write("storage: {max_pending: 1GiB, min_free: 1GiB}\nshutdown_grace: 1s\n")
    environ |= {"HALO_DAEMON__STORAGE__MIN_FREE": "2GiB", "HALO_DAEMON__SHUTDOWN_GRACE": "2s"}

    loaded = load_with_origins(path, environ, overrides={"shutdown_grace": "3s"})

    assert loaded.config.storage.max_pending_bytes == 2**30
    assert loaded.config.storage.min_free_bytes == 2**31
    assert loaded.config.shutdown_grace_s == 3.0
    assert loaded.origins == {
        "storage.max_pending": f"{path}:1:24",
        "storage.min_free": "HALO_DAEMON__STORAGE__MIN_FREE",
        "shutdown_grace": "flag",
    }


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(write, environ):
    """One start shows every mistake, with line and column."""
    path = write(
        "receivers:\n"
        "  otlp:\n"
        "    grpc: {endpont: x, max_message: lots}\n"
        "    http: {max_body: 64}\n"
        "  max_spans_per_request: 010\n"
        "analysis: {schedule: [{cron: 61 * * * *}, {engine: builtn}], budget: {wall: 0s}}\n"
        "notify:\n"
        "  targets:\n"
        f"    ops: {{type: webhook, url: https://ops.example/, secret: {SECRET}}}\n"
        "  routes: [{to: [opps]}]\n"
        "  routes: []\n"
    )

    assert _diagnostics(path, environ) == [
        '3:12: receivers.otlp.grpc.endpont: unknown key – did you mean "endpoint"?',
        '3:37: receivers.otlp.grpc.max_message: "lots" is not a size – write for example 64MiB',
        '4:22: receivers.otlp.http.max_body: "64" is not a size – write for example 64MiB',
        '5:26: receivers.max_spans_per_request: "010" is not a whole number',
        '6:30: analysis.schedule[0].cron: "61 * * * *" is not a cron expression: bad minute',
        '6:43: analysis.schedule[1].name: a second entry "nightly"',
        '6:52: analysis.schedule[1].engine: "builtn" is not `builtin` or `llm`',
        "6:77: analysis.budget.wall: 0s is below the least, 1s",
        '10:18: notify.routes[0].to: no target "opps" – did you mean "ops"?',
        '11:3: notify: duplicate key "routes" (first at line 10)',
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("receivers: 7", '1:12: receivers: "7" is not a mapping'),
        ("receivers: [1]", "1:12: receivers: a list is not a mapping"),
        ("data: {dir: ' '}", '1:13: data.dir: " " is not a path'),
        ('data: {dir: "a\\0b"}', "is not a path"),
        ("data: {dir: {}}", "1:13: data.dir: a mapping is not a path"),
        ("projects: {max_auto_created: -1}", '1:30: projects.max_auto_created: "-1" is below'),
        ("projects: {max_auto_created: 1.5}", "is not a whole number"),
        ("projects: {max_auto_created: yes}", '"yes" is not a whole number'),
        ("projects: {default: 12}", '"12" is not text – put it in quotes'),
        ("projects: {default: ' '}", "projects.default: is empty"),
        ("projects: {route_by: service.name}", "is not a list"),
        ("telemetry: {log: {level: loud}}", '"loud" is not `debug`'),
        ("version: 2", '1:10: version: "2" is not 1'),
        ("zzz: 1", "1:1: zzz: unknown key – known here: version, data,"),
        ("receivers: {otlp: {grpc: {max_message_bytes: 1}}}", "max_message_bytes: unknown key"),
        ("notify: {targets: {ops: {type: webhook}}}", "1:20: notify.targets.ops.url: is required"),
        ("notify: {targets: {'a b': {}}}", "is not a name"),
        ("notify: {routes: [{to: []}]}", "notify.routes[0].to: is empty"),
        ("data:\n  dir: ${env:NOWHERE}", "2:8: data.dir: $NOWHERE is not set"),
        ("data: {dir: '${oops}'}", '"${oops}" is not a reference'),
        ("data: {dir: '${file:/nonexistent}'}", "cannot read /nonexistent: No such file"),
    ],
)
def test_each_kind_of_mistake_has_words_of_its_own(write, environ, text, problem):
    """A wrong value is told in the words of the file, not of a library."""
    told = _diagnostics(write(text), environ)

    assert problem in "\n".join(told)


def test_a_mistake_in_the_environment_names_the_variable(write, environ):
    """Without a line to point to, the variable or the flag is named."""
    environ |= {"HALO_DAEMON__STORAGE__MIN_FREE": "3", "HALO_DAEMON__STORAGE__MIN_FRE": "3GiB"}

    assert _diagnostics(write(""), environ, shutdown_grace="soon") == [
        'HALO_DAEMON__STORAGE__MIN_FRE: storage.min_fre: unknown key – did you mean "min_free"?',
        'HALO_DAEMON__STORAGE__MIN_FREE: storage.min_free: "3" is not a size – write for example 64MiB',
        'flag: shutdown_grace: "soon" is not a duration – write for example 15m',
    ]


def test_references_are_resolved_inside_texts(write, environ, tmp_path):
    """Environment, fallback, file and the literal form meet in one text."""
    (tmp_path / "name").write_text("agent\n")
    environ |= {"STAGE": "prod", "SPANS": "7"}
    path = write(
        f'projects: {{default: "${{env:STAGE}}-${{env:NO:-x}}-${{file:{tmp_path}/name}}-$${{y}}"}}\n'
        "receivers:\n  max_spans_per_request: ${env:SPANS}\n"
    )

    config = load(path, environ)

    assert config.projects.default == "prod-x-agent-${y}"
    assert config.receivers.max_spans_per_request == 7


@pytest.mark.parametrize(("text", "default"), [("${env:EMPTY:-x}", "x"), ("a${env:EMPTY}", "a")])
def test_an_empty_variable_counts_as_set_unless_there_is_a_fallback(write, environ, text, default):
    """As in a shell, a fallback stands in for an empty variable, too."""
    environ["EMPTY"] = ""

    assert load(write(f"projects: {{default: '{text}'}}"), environ).projects.default == default


def test_references_are_not_resolved_twice(write, environ):
    """A value from the environment is taken as it is."""
    environ |= {"A": "${env:B}", "B": "b"}

    assert load(write("projects: {default: '${env:A}'}"), environ).projects.default == "${env:B}"


def test_a_secret_of_digits_stays_text(write, environ):
    """A reference in a secret is never read as a number, and never printed."""
    environ["TOKEN"] = "1234567890"

    problem = _diagnostics(write(TARGET.format("${env:TOKEN}")), environ)[0]

    assert problem.endswith("secret: the secret is not `whsec_` and base64")


def test_a_literal_secret_is_a_warning(write, environ):
    """A secret in the file works, and is advised against without being shown."""
    loaded = load_with_origins(write(TARGET.format(SECRET)), environ, overrides={})

    assert len(loaded.warnings) == 1
    assert "a literal secret" in loaded.warnings[0]
    assert SECRET not in loaded.warnings[0]


@pytest.mark.parametrize(("mode", "warnings"), [(0o600, 0), (0o644, 1)])
def test_a_secret_file_that_others_may_read_is_a_warning(write, environ, tmp_path, mode, warnings):
    """The file behind a secret should be its owner's alone."""
    secret_file = tmp_path / "secret"
    secret_file.write_text(SECRET + "\n")
    secret_file.chmod(mode)

    loaded = load_with_origins(
        write(TARGET.format("${file:" + str(secret_file) + "}")), environ, overrides={}
    )

    assert len(loaded.warnings) == warnings
    assert loaded.config.notify.targets["ops"].secret.get_secret_value() == SECRET


def test_an_emptied_section_means_its_defaults(write, environ):
    """A key whose content was commented out is as good as left out."""
    config = load(write("storage:\n  # max_pending: 1GiB\nnotify:\n"), environ)

    assert (config.storage, config.notify) == (Config().storage, Config().notify)


def test_a_file_with_a_byte_order_mark_is_read(tmp_path, environ):
    """Editors that write a byte-order mark do no harm."""
    path = tmp_path / "halo.yaml"
    path.write_bytes(b"\xef\xbb\xbfversion: 1\r\nshutdown_grace: 3s\r\n")

    assert load(path, environ).shutdown_grace_s == 3.0


def test_other_encodings_are_refused(tmp_path, environ):
    """Bytes that are not UTF-8 are told with their line."""
    path = tmp_path / "halo.yaml"
    path.write_bytes(b"version: 1\nshutdown_grace: \xff\n")

    assert _diagnostics(path, environ) == ["2:1: the file is not UTF-8"]


def test_a_named_file_must_exist(tmp_path, environ):
    """A path in the variable is not passed over in silence."""
    environ["HALO_DAEMON_CONFIG"] = str(tmp_path / "missing.yaml")

    with pytest.raises(ConfigError, match=r"cannot read .*missing.yaml: No such file"):
        load(None, environ)


def test_the_file_is_found_in_the_working_directory_before_the_home(tmp_path, monkeypatch):
    """The nearest file wins."""
    monkeypatch.chdir(tmp_path)
    user_file = tmp_path / "conf" / "halo-daemon" / "config.yaml"
    user_file.parent.mkdir(parents=True)
    user_file.touch()
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "conf")}

    assert find_file(environ) == user_file
    Path("halo-daemon.yaml").touch()
    assert find_file(environ) == Path("halo-daemon.yaml")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"STATE_DIRECTORY": "/var/lib/halo:/x", "XDG_STATE_HOME": "/s"}, "/var/lib/halo"),
        ({"XDG_STATE_HOME": "/s"}, "/s/halo-daemon"),
        ({}, "~/.local/state/halo-daemon"),
    ],
)
def test_the_data_directory_follows_the_environment(environ, expected):
    """A service keeps data in its state directory, a user in the state home."""
    assert default_data_dir(environ) == Path(expected)


def test_the_data_directory_is_absolute(write, environ, tmp_path, monkeypatch):
    """A relative directory is settled at once, so a later change of directory does no harm."""
    monkeypatch.chdir(tmp_path)

    assert load(write("data: {dir: here}"), environ).data.dir == tmp_path / "here"
    assert load(write("data: {dir: ~/there}"), environ).data.dir == tmp_path / "there"


def test_without_a_home_the_data_directory_must_be_named(write):
    """A guess at the data directory would lose data, so there is none."""
    with pytest.raises(ConfigError, match=r"\$HOME is not set"):
        load(write(""), {})

    assert load(write(""), {}, overrides={"data.dir": "/d"}).data.dir == Path("/d")
