import pytest

from halo_daemon.auth import ANY_PROJECT, KeyFile, make_key
from halo_daemon.errors import ForbiddenError, StoreError, UnauthenticatedError
from halo_daemon.receiver.access import HostCheck, KeyCheck


@pytest.fixture
def key_file(tmp_path):
    """A file that does not exist yet."""
    return KeyFile(tmp_path / "keys.json")


def test_a_key_is_found_by_its_text_and_the_file_does_not_hold_it(tmp_path, key_file):
    """What a sender presents cannot be read from the file."""
    new = make_key("support")

    key_file.add(new.key)

    assert key_file.find(new.text) == new.key
    assert new.text not in (tmp_path / "keys.json").read_text()
    assert (tmp_path / "keys.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("change", ["x", "", " ", "\ud800"])
def test_no_other_text_is_the_key(key_file, change):
    """A text that differs anywhere is no key."""
    new = make_key("support")
    key_file.add(new.key)

    assert key_file.find(new.text[:-1] + change) is None
    assert key_file.find("") is None


def test_another_process_sees_changes_at_once(tmp_path, key_file):
    """Keys made and revoked elsewhere count without a restart."""
    first, second = make_key("a"), make_key("b")
    elsewhere = KeyFile(tmp_path / "keys.json")
    elsewhere.add(first.key)
    assert key_file.find(first.text) == first.key

    elsewhere.add(second.key)
    was_there = elsewhere.revoke(first.key.id)

    assert was_there
    assert key_file.find(first.text) is None
    assert key_file.find(second.text) == second.key
    assert not elsewhere.revoke("00000000")


def test_a_damaged_file_lets_nobody_new_in(tmp_path):
    """Without a readable file no key is valid, and the operator is told which file it is."""
    path = tmp_path / "keys.json"
    path.write_text("{")

    assert KeyFile(path).find(make_key("a").text) is None
    with pytest.raises(StoreError, match=r"keys\.json"):
        KeyFile(path).keys()


def _check(key_file, project):
    new = make_key(project)
    key_file.add(new.key)
    return KeyCheck(key_file.find), f"Bearer {new.text}"


def test_a_key_decides_the_project(key_file):
    """The key of one project writes to that one, whatever else is said."""
    keys, header = _check(key_file, "support")

    admitted = keys.admit(header, named_project=None)

    assert admitted is not None
    assert admitted.slug == "support"
    assert keys.admit(header, named_project=" Support ") == admitted
    with pytest.raises(ForbiddenError):
        keys.admit(header, named_project="billing")


def test_a_key_for_all_projects_lets_the_request_choose(key_file):
    """A key without a project decides nothing."""
    keys, header = _check(key_file, ANY_PROJECT)

    assert keys.admit(header, named_project="billing") is None


@pytest.mark.parametrize(
    "authorization", [None, "", "Basic abc", "Bearer", "Bearer hd_ingest_x", "hd_ingest_x"]
)
def test_without_a_known_key_nobody_is_admitted(key_file, authorization):
    """No header, another scheme and a wrong token are all refused."""
    keys, _ = _check(key_file, "support")

    with pytest.raises(UnauthenticatedError):
        keys.admit(authorization, named_project=None)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:4318",
        "127.0.0.1:4318",
        "127.9.9.9",
        "[::1]:4318",
        "a.localhost",
        "host.docker.internal:4318",
        "halo.lan",
        None,
    ],
)
def test_names_of_this_machine_pass(host):
    """Loopback addresses and names, the containers' name for it, and what is allowed."""
    HostCheck(["halo.lan"]).require(host)


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "192.168.1.5", "", "[::2]"]
)
def test_other_names_are_refused(host):
    """A page that points its own name here is found out by it."""
    with pytest.raises(ForbiddenError):
        HostCheck().require(host)
