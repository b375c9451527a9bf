"""The sample file says what the model says."""

import re
from pathlib import Path

import pytest

from halo_daemon.config import Config
from halo_daemon.config_file import load_with_origins
from halo_daemon.config_keys import settings
from halo_daemon.errors import ConfigError

SAMPLE = Path(__file__).parents[2] / "config" / "halo-daemon.yaml"
LINES = SAMPLE.read_text(encoding="utf-8").splitlines()
KEY = re.compile(r"^ *#? *(?:- )?(?P<key>[a-z_]+):(?: |$)")
LIVE_KEY = re.compile(r"^ *(?:- )?(?P<key>[a-z_]+):(?: |$)")
KEYS_BY_LINE = [
    (number, match["key"]) for number, line in enumerate(LINES) if (match := LIVE_KEY.match(line))
]


def test_the_sample_file_equals_the_defaults(tmp_path):
    """Reading the sample changes nothing but the place of the data directory's name."""
    loaded = load_with_origins(SAMPLE, {"HOME": str(tmp_path)}, overrides={})

    default_data = Config().data.model_copy(update={"dir": tmp_path / ".local/state/halo-daemon"})
    assert loaded.config == Config().model_copy(update={"data": default_data})


def test_the_sample_file_names_every_key():
    """A key of the model that the sample does not show is undocumented."""
    shown = {match["key"] for line in LINES if (match := KEY.match(line))}

    wanted = {
        part for setting in settings() for part in re.findall(r"[a-z_]+(?![a-z_>])", setting.key)
    }
    assert wanted - {"name"} <= shown


@pytest.mark.parametrize(("number", "key"), KEYS_BY_LINE)
def test_a_misspelt_key_is_one_error_on_its_line(tmp_path, number, key):
    """Whichever key is misspelt, the message points to it and to nothing else."""
    broken = tmp_path / "broken.yaml"
    mutated = [*LINES[:number], LINES[number].replace(key, key + "x", 1), *LINES[number + 1 :]]
    broken.write_text("\n".join(mutated), encoding="utf-8")

    with pytest.raises(ConfigError) as caught:
        load_with_origins(broken, {"HOME": str(tmp_path)}, overrides={})

    (problem,) = caught.value.diagnostics
    assert problem.startswith(f"{broken}:{number + 1}:")
    assert f'did you mean "{key}"?' in problem
