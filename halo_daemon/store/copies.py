"""
Copies of a data directory: made beside a daemon that writes to it, and restored from.

Rule 1: a shard is copied as far as its last whole group, and its sidecar after it.

Rule 2: a copy has a temporary name until it is whole.
"""

import os
import shutil
from contextlib import nullcontext
from pathlib import Path

from halo_daemon.errors import StoreError
from halo_daemon.store.disk import Disk, held
from halo_daemon.store.paths import (
    PLAIN_SUFFIX,
    RECEIPTS_SUFFIX,
    TEMPORARY_PREFIX,
    DataPaths,
    ProjectPaths,
    is_left_out_of_copies,
)
from halo_daemon.store.receipts import read_receipts

_COPY_BYTES = 4 * 1024**2


def backup(paths: DataPaths, target: Path, *, disk: Disk | None = None) -> int:
    """
    Copy a data directory, with or without a daemon that writes to it.

    Shards are copied as far as their last whole group: everything that was
    acknowledged before the call, and perhaps more. Retention waits meanwhile, so no
    trace is copied in part. Derived files are left out: they are built again where the
    copy is used.

    Returns:
        Bytes copied.

    Raises:
        StoreError: *target* is not empty, or the disk refused.
    """
    return _copy_into(paths.root, target, disk or Disk())


def restore(source: Path, paths: DataPaths, *, disk: Disk | None = None) -> int:
    """
    Fill an empty data directory from a copy; the caller holds its lock.

    Returns:
        Bytes copied.

    Raises:
        StoreError: The directory holds projects already, or the disk refused.
    """
    if not (source / "projects").is_dir():
        raise StoreError(
            f"cannot restore from {source}: it is not a copy of a data directory",
            hint="name the directory that `halo-daemon store backup` wrote",
        )
    return _copy_into(source, paths.root, disk or Disk())


def _copy_into(source: Path, target: Path, disk: Disk) -> int:
    if not (source / "projects").is_dir():
        raise StoreError(f"cannot copy {source}: it holds no projects", hint="check the path")
    there = sorted({path.name for path in source.iterdir()} & _names_in(target))
    if there:
        raise StoreError(
            f"cannot copy {source} to {target}: there are {there[-1]} already",
            hint="name a new or empty directory",
        )
    if target.resolve().is_relative_to(source.resolve()):
        raise StoreError(
            f"cannot copy {source} into itself, to {target}",
            hint="name a directory outside the data directory",
        )
    try:
        # Under a temporary name until it is whole: a killed copy is never taken for one.
        staging = target / f"{TEMPORARY_PREFIX}copy"
        if staging.exists():
            shutil.rmtree(staging)
        disk.make_directory(staging)
        copied = _copy_directory(disk, source, staging)
        for path in sorted(staging.iterdir(), key=lambda path: path.name == "projects"):
            disk.sync_directory(target)
            disk.rename(path, target / path.name)
        staging.rmdir()
        disk.sync_directory(target)
    except OSError as exc:
        raise StoreError(
            f"cannot copy {source} to {target}: {exc}", hint="check free space and permissions"
        ) from exc
    return copied


def _names_in(directory: Path) -> set[str]:
    """What a directory holds that a copy would have to replace."""
    if not directory.exists():
        return set()
    return {path.name for path in directory.iterdir() if not is_left_out_of_copies(path)}


def _copy_directory(disk: Disk, source: Path, target: Path) -> int:
    copied = 0
    seen: set[str] = set()
    is_complete = False
    while not is_complete:
        is_complete = True
        for path in _to_copy(source, seen):
            seen.add(path.name)
            try:
                copied += _copy_entry(disk, path, target / path.name)
            except FileNotFoundError:
                if os.path.lexists(path):
                    raise
                # Compressed, rewritten or renamed under us: what it became is there to be
                # listed now, and what was copied of a directory by its old name is not wanted.
                shutil.rmtree(target / path.name, ignore_errors=True)
                is_complete = False
    disk.sync_directory(target)
    return copied


def _to_copy(source: Path, seen: set[str]) -> list[Path]:
    found = [path for path in source.iterdir() if path.name not in seen]
    # Sidecars come after their shards, so that they speak of every byte that was copied.
    return sorted(
        (path for path in found if not is_left_out_of_copies(path)),
        key=lambda path: (path.suffix == RECEIPTS_SUFFIX, path.name),
    )


def _copy_entry(disk: Disk, source: Path, target: Path) -> int:
    if source.is_symlink():
        target.symlink_to(source.readlink())
        return 0
    if source.is_dir():
        disk.make_directory(target)
        # Retention holds them while it deletes, so no trace is copied in part.
        is_spans = source == ProjectPaths(source.parent).spans
        with held(source, is_shared=True) if is_spans else nullcontext():
            return _copy_directory(disk, source, target)
    return _copy_file(disk, source, target)


def _copy_file(disk: Disk, source: Path, target: Path) -> int:
    with source.open("rb") as file:
        fd = disk.create(target)
        try:
            while data := file.read(_COPY_BYTES):
                view = memoryview(data)
                while view:
                    view = view[disk.write(fd, view) :]
            if source.suffix == PLAIN_SUFFIX:
                disk.truncate(fd, _whole_bytes(file.fileno(), source, target))
            disk.sync(fd)
            copied = os.fstat(fd).st_size
        finally:
            os.close(fd)
    shutil.copystat(source, target)
    return copied


def _whole_bytes(source_fd: int, source: Path, copy: Path) -> int:
    """How much of a copied shard, or other file of lines, to keep."""
    complete = _complete_bytes(copy)
    receipts = read_receipts(source.with_suffix(RECEIPTS_SUFFIX), opened_unix_ns=0)
    return receipts.whole_to(complete, length_now_bytes=os.fstat(source_fd).st_size)


def _complete_bytes(path: Path) -> int:
    """Length of *path* up to and with its last newline."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - _COPY_BYTES)
            file.seek(start)
            place = file.read(end - start).rfind(b"\n")
            if place >= 0:
                return start + place + 1
            end = start
    return 0
