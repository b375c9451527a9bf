"""Whatever stands in a file or the environment, it is a configuration or a list of mistakes."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings as hypothesis_settings, strategies as st

from halo_daemon.config_file import load
from halo_daemon.config_keys import settings
from halo_daemon.errors import ConfigError

SAMPLE = (Path(__file__).parents[2] / "config" / "halo-daemon.yaml").read_text(encoding="utf-8")
LINES = [line for line in SAMPLE.splitlines() if line.strip() and not line.startswith("#")]
KEYS = [setting.key for setting in settings()]

scalars = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["64MiB", "24h", "0s", "-1", "1.5", "true", "~", "[a, b]", "{a: b}", "*", "&a"]
    ),
    st.sampled_from(
        ["${env:HOME}", "${env:NO}", "${file:/nonexistent}", "${", "@daily", '"', "[::1]:1"]
    ),
)
fixture_is_shared = hypothesis_settings(
    max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _mistakes(path: Path, environ: dict[str, str]) -> list[str]:
    try:
        load(path, {"HOME": "/home/someone", **environ})
    except ConfigError as exc:
        return list(exc.diagnostics)
    return ["none"]


def _are_told_once(mistakes: list[str]) -> bool:
    return bool(mistakes) and len(set(mistakes)) == len(mistakes) and all(map(str.strip, mistakes))


@fixture_is_shared
@given(st.lists(st.tuples(st.integers(0, len(LINES) - 1), scalars), max_size=5))
def test_a_changed_sample_is_read_or_refused(tmp_path, changes):
    """Any value at any key of the sample is either taken or told."""
    lines = list(LINES)
    for number, value in changes:
        before, colon, _ = lines[number].partition(":")
        lines[number] = f"{before}{colon} {value}"
    path = tmp_path / "halo.yaml"
    path.write_bytes("\n".join(lines).encode("utf-8", "replace"))

    assert _are_told_once(_mistakes(path, {}))


@fixture_is_shared
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(tmp_path, content):
    """No file makes the loader fail in any other way."""
    path = tmp_path / "halo.yaml"
    path.write_bytes(content)

    assert _are_told_once(_mistakes(path, {}))


@fixture_is_shared
@given(st.sampled_from(KEYS), st.text(alphabet="AB_[0]<>.", max_size=6), scalars)
def test_any_variable_is_read_or_refused(tmp_path, key, suffix, value):
    """No variable with our prefix makes the loader fail in any other way."""
    path = tmp_path / "halo.yaml"
    path.write_text("")
    name = "HALO_DAEMON__" + key.replace(".", "__").upper() + suffix

    assert _are_told_once(_mistakes(path, {name: value}))
