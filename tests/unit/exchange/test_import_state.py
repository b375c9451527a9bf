"""How far imports came, on disk."""

import orjson
import pytest

from halo_daemon.exchange.import_state import FileIdentity, ImportState
from halo_daemon.exchange.incoming import START, Place
from halo_daemon.testing.failing_disk import FailingDisk


@pytest.fixture
def file(tmp_path):
    """A file that is imported."""
    path = tmp_path / "traces.jsonl"
    path.write_text("{}\n")
    return FileIdentity.of(path)


def test_a_batch_costs_a_line(tmp_path, file):
    """However much is known, noting a place appends one line to what was there."""
    path = tmp_path / "imports.jsonl"
    state = ImportState(path)
    for number in range(500):
        state.note_pull(f"server {number}", {"page": number})
    state.save()
    before = path.read_bytes()

    state.note("otlp", file, Place(3, 1), is_finished=False)
    state.save()

    after = path.read_bytes()
    assert after.startswith(before)
    assert after[len(before) :].count(b"\n") == 1


def test_the_file_stays_as_long_as_what_it_knows(tmp_path, file):
    """Ten thousand places in one file leave a bounded number of lines, the last of which holds."""
    path = tmp_path / "imports.jsonl"
    state = ImportState(path)
    for number in range(1, 5_001):
        state.note("otlp", file, Place(number, number), is_finished=False)
        state.save()

    assert path.read_bytes().count(b"\n") <= 2_001
    assert ImportState(path).place_of("otlp", file) == Place(5_000, 5_000)


def test_imports_beside_each_other_keep_what_both_reached(tmp_path, file):
    """Neither overwrites the other, also when one writes the file anew."""
    path = tmp_path / "imports.jsonl"
    one, other = ImportState(path), ImportState(path)
    other.note("otlp", file, Place(7, 2), is_finished=False)
    other.save()
    for number in range(2_500):
        one.note_pull("server", {"page": number})
        one.save()

    read = ImportState(path)
    assert read.place_of("otlp", file) == Place(7, 2)
    assert read.pull("server") == {"page": 2_499}


@pytest.mark.parametrize("damage", [b'{"key": "x', b"\xff\xfe\n", b'{"a": 1}\n', b"[]\n", b"1\n"])
def test_a_damaged_line_costs_nothing_but_itself(tmp_path, file, damage):
    """What a crash or anyone else left in the file is left out."""
    path = tmp_path / "imports.jsonl"
    path.write_bytes(damage)
    state = ImportState(path)
    assert state.place_of("otlp", file) == START

    state.note("otlp", file, Place(3, 1), is_finished=False)
    state.save()

    assert ImportState(path).place_of("otlp", file) == Place(3, 1)


def test_what_the_disk_refused_is_noted_with_the_next_batch(tmp_path, file):
    """A failed save raises and loses nothing of what was noted."""
    path = tmp_path / "imports.jsonl"
    state = ImportState(path, disk=FailingDisk(1))
    state.note("otlp", file, Place(3, 1), is_finished=False)
    with pytest.raises(OSError):
        state.save()

    state.save()

    assert ImportState(path).place_of("otlp", file) == Place(3, 1)
    assert all(orjson.loads(line) for line in path.read_bytes().splitlines())
