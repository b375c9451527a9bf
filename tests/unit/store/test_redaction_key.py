import threading

import pytest

from halo_daemon.errors import StoreError
from halo_daemon.store.redaction_key import KEY_BYTES, redaction_key


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path):
    """The first call makes it, later ones read the same; nobody else may read it."""
    path = tmp_path / "data" / "redaction.key"

    first = redaction_key(path)

    assert len(first) == KEY_BYTES
    assert redaction_key(path) == first
    assert path.stat().st_mode & 0o077 == 0
    assert [one.name for one in path.parent.iterdir()] == ["redaction.key"]


def test_two_directories_have_two_keys(tmp_path):
    """A hash of one data directory says nothing in another."""
    assert redaction_key(tmp_path / "a" / "key") != redaction_key(tmp_path / "b" / "key")


def test_of_several_that_begin_at_once_all_have_the_same(tmp_path):
    """Whoever makes it first decides; nobody goes on with a key of its own."""
    path = tmp_path / "redaction.key"
    begin = threading.Barrier(4)
    found = []

    def take() -> None:
        begin.wait()
        found.append(redaction_key(path))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [path.read_bytes()] * 4


@pytest.mark.parametrize("content", [b"", b"short", b"x" * (KEY_BYTES + 1)])
def test_a_file_that_is_no_key_is_told(tmp_path, content):
    """A key cut short is not used, nor replaced without a word."""
    path = tmp_path / "redaction.key"
    path.write_bytes(content)

    with pytest.raises(StoreError, match=r"redaction\.key"):
        redaction_key(path)

    assert path.read_bytes() == content
