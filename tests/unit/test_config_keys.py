import pytest
from hypothesis import given, strategies as st

from halo_daemon.config import Config, ProjectsConfig
from halo_daemon.config_keys import flat_values, nearest, settings, settings_at
from halo_daemon.config_yaml import read_document


@pytest.mark.parametrize(
    ("key", "count"),
    [
        ("analysis.schedule[0].cron", 1),
        ("notify.targets.ops.url", 1),
        ("notify.targets", 5),
        ("storage.shard", 2),
        ("version", 1),
        ("analysis.schedul", 0),
        ("", 0),
        ("notify.targets.ops.url.x", 0),
        ("(", 0),
    ],
)
def test_a_key_is_found_with_indexes_and_names(key, count):
    """What people read in messages and files is what they can ask about."""
    assert len(settings_at(key)) == count


def test_every_effective_value_belongs_to_a_key():
    """What is shown can be explained."""
    assert [key for key in flat_values(Config()) if not settings_at(key)] == []


def test_the_kinds_of_every_key_are_told():
    """No key is left without words for what it takes."""
    assert [setting.key for setting in settings() if not setting.kind] == []


@given(st.text(min_size=1, max_size=30).filter(str.strip))
def test_a_shown_text_reads_back_as_it_was(text):
    """Texts that YAML would take for something else are shown in quotes."""
    config = Config(projects=ProjectsConfig(default=text))
    shown = flat_values(config)["projects.default"]

    root, problems = read_document(f"key: {shown}\n", "shown")

    assert problems == []
    assert isinstance(root.content, dict)
    assert root.content["key"].node.content == text


@pytest.mark.parametrize(
    ("word", "said"),
    [("endpont", 'did you mean "endpoint"?'), ("zzz", "known here: endpoint, max_body")],
)
def test_the_nearest_name_is_offered(word, said):
    """A near miss gets a guess, anything else the whole list."""
    assert nearest(word, ["endpoint", "max_body"]) == said
