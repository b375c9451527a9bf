"""What the disk of the power-cut tests remembers."""

from halo_daemon.testing.power_cut import PowerCutDisk


def test_a_file_that_was_unlinked_may_come_back_until_its_directory_is_synced(tmp_path):
    """Both are noted, the file there and gone, and after the sync it is gone for good."""
    disk = PowerCutDisk(tmp_path)
    path = tmp_path / "shard"
    disk.create(path)
    disk.sync_directory(tmp_path)

    disk.unlink(path)
    assert [path.name in map(str, moment) for moment in disk.moments[-2:]] == [False, True]

    disk.sync_directory(tmp_path)
    assert list(disk.moments[-1]) == []
