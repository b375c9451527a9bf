import pytest

from halo_daemon.errors import UnknownProjectError
from halo_daemon.proto.project import project_named
from halo_daemon.store.disk import Disk
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.projects import find_project, list_projects, register_project
from halo_daemon.testing.spans import START_UNIX_NS


def test_a_project_is_found_by_slug_and_by_name(tmp_path):
    """Both spellings lead to the project, with its original name and time of creation."""
    paths = DataPaths(tmp_path)
    project = project_named("Support Bot")
    register_project(Disk(), paths, project, now_unix_ns=START_UNIX_NS)

    found = [find_project(paths, text) for text in ("support-bot", "Support Bot", " SUPPORT bot")]

    assert {(p.slug, p.name, p.created_unix_ns) for p in found} == {
        ("support-bot", "Support Bot", START_UNIX_NS)
    }
    assert found[0].created is not None
    assert found[0].created.year == 2026


def test_registering_again_keeps_the_first_description(tmp_path):
    """A second batch does not change when a project was created."""
    paths = DataPaths(tmp_path)
    register_project(Disk(), paths, project_named("a"), now_unix_ns=1)

    again = register_project(Disk(), paths, project_named("A"), now_unix_ns=2)

    assert (again.name, again.created_unix_ns) == ("a", 1)


@pytest.mark.parametrize("text", ["", " ", "nope", "../x", "\0"])
def test_an_unknown_project_is_told_with_those_there_are(tmp_path, text):
    """The message lists what exists."""
    paths = DataPaths(tmp_path)
    register_project(Disk(), paths, project_named("here"), now_unix_ns=1)

    with pytest.raises(UnknownProjectError, match="has 1 projects: here"):
        find_project(paths, text)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"name":1,"created":2}', b"\xff"])
def test_a_lost_description_costs_only_the_name(tmp_path, content):
    """A project whose description is damaged is still listed, by its slug."""
    paths = DataPaths(tmp_path)
    register_project(Disk(), paths, project_named("Loud Name"), now_unix_ns=1)
    paths.project("loud-name").project_json.write_bytes(content)

    (project,) = list_projects(paths)

    assert (project.slug, project.name, project.created) == ("loud-name", "loud-name", None)
