import pytest

from halo_daemon.store.paths import DataPaths, ShardName, day_of, shard_stem
from halo_daemon.testing.spans import START_UNIX_NS


@pytest.mark.parametrize(
    "slug", ["", ".", "..", "../../x", "a/b", "a\0b", "CON", "x" * 300, " ", "/etc", "a\n"]
)
def test_unsafe_slugs_name_no_directory(tmp_path, slug):
    """Only what `slugify` could have made becomes a path."""
    with pytest.raises(ValueError, match="is not a project slug"):
        DataPaths(tmp_path).project(slug)


def test_days_are_listed_in_order_and_strangers_left_out(tmp_path):
    """Only directories that are days count."""
    project = DataPaths(tmp_path).project("p")
    for name in ("2026-01-02", "2025-12-31", "2026-13-01", "notes", "20260101"):
        (project.spans / name).mkdir(parents=True)

    assert [day.day for day in project.days()] == ["2025-12-31", "2026-01-02"]


def test_a_shard_has_one_name_in_either_form(tmp_path):
    """Plain and compressed files of one shard are listed once; other files are not shards."""
    day = DataPaths(tmp_path).project("p").day("2026-01-02")
    day.directory.mkdir(parents=True)
    stem = shard_stem(START_UNIX_NS, worker=3, sequence=7)
    for path in (day.plain(stem), day.compressed(stem), day.receipts(stem), day.index):
        path.touch()
    day.plain("halo.engine-index").touch()

    assert day.stems() == [stem]


def test_names_tell_when_a_shard_was_opened():
    """The opening time comes back from the name, to the second."""
    stem = shard_stem(START_UNIX_NS, worker=0, sequence=1)

    opened = ShardName(day_of(START_UNIX_NS), stem).opened_unix_ns

    assert opened == START_UNIX_NS // 10**9 * 10**9


def test_a_name_with_an_impossible_time_counts_from_midnight():
    """A stem whose digits are no time of day gives the start of its day."""
    name = ShardName("1970-01-02", "990000Z-w0-000001")

    assert name.opened_unix_ns == 86_400 * 10**9
