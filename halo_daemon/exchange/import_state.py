"""
How far files and pulls were imported, on disk, so that an import can go on.

A line of JSON for each place that was reached, appended; the last one about a file holds.
When most lines are overtaken the file is written anew, so that it stays as long as what
it knows.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import orjson

from halo_daemon.exchange.incoming import START, Place
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.store.disk import Disk, write_atomically, write_fully

_HEAD_BYTES = 4096
_FILE_MODE = 0o640
_SLACK = 2
_FEW_LINES = 1_000
"""The file is written anew when it has more than twice the lines it needs, and more than a few."""

_MAX_ENTRIES = 20_000
"""The oldest are forgotten beyond it; what is forgotten is read again, which is harmless."""


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """Which file this is, however it is called by now."""

    path: Path
    inode: str
    size_bytes: int
    head: bytes

    @classmethod
    def of(cls, path: Path) -> "FileIdentity | None":
        """Look at a file; None for stdin and for what cannot be read."""
        if str(path) == "-":
            return None
        try:
            with path.open("rb") as file:
                head = file.read(_HEAD_BYTES)
            status = path.stat()
        except OSError:
            return None
        return cls(path.absolute(), f"{status.st_dev}:{status.st_ino}", status.st_size, head)


class ImportState:
    """
    Places that were reached, kept in one file that several imports may append to.

    A file is known by its name, or by its inode where a log rotation renamed it, and
    in either case by how it begins.

    Args:
        path: Where it is kept; lines that are damaged are left out.

        disk: System calls; tests make them fail.
    """

    def __init__(self, path: Path, *, disk: Disk | None = None) -> None:
        self._path = path
        self._disk = disk or Disk()
        self._fields, self._lines = _read(path)
        self._unsaved: set[str] = set()
        self._by_inode = {
            f"{entry.get('source')}:{entry.get('inode')}": key
            for key, entry in self._fields.items()
            if isinstance(entry, dict) and entry.get("inode")
        }

    def place_of(self, source: str, file: FileIdentity) -> Place | None:
        """Where to go on in *file*; its start when it is new, None when it has not changed."""
        entry = self._entry(source, file)
        if entry is None:
            return START
        if entry.get("is_finished") and entry.get("size_bytes") == file.size_bytes:
            return None
        try:
            return Place(cast("int", entry["offset"]), cast("int", entry["records"]))
        except KeyError:
            return START

    def has_begun(self, source: str, file: FileIdentity) -> bool:
        """Whether an import of *file*, or of what had its name, was noted before."""
        return f"{source}:{file.path}" in self._fields or self._entry(source, file) is not None

    def note(self, source: str, file: FileIdentity, place: Place, *, is_finished: bool) -> None:
        """Note, in memory, how far *file* is stored."""
        key = f"{source}:{file.path}"
        self._fields.pop(key, None)
        self._fields[key] = {
            "source": source,
            "inode": file.inode,
            "size_bytes": file.size_bytes,
            "head_bytes": len(file.head),
            "head": hashlib.sha256(file.head).hexdigest(),
            "offset": place.offset_bytes,
            "records": place.records,
            "is_finished": is_finished,
        }
        self._by_inode[f"{source}:{file.inode}"] = key
        self._unsaved.add(key)

    def pull(self, name: str) -> JsonObject:
        """What was noted of the pull *name*; empty when it is new."""
        entry = self._fields.get(f"pull:{name}")
        return entry if isinstance(entry, dict) else {}

    def note_pull(self, name: str, reached: JsonObject) -> None:
        """Note, in memory, how far the pull *name* is stored."""
        key = f"pull:{name}"
        self._fields.pop(key, None)
        self._fields[key] = reached
        self._unsaved.add(key)

    def save(self) -> None:
        """
        Write what was noted, durably; nothing when nothing was since the last time.

        Raises:
            OSError: The disk refused.
        """
        if not self._unsaved:
            return
        written = b"".join(_line(key, self._fields[key]) for key in sorted(self._unsaved))
        if self._lines + len(self._unsaved) > _SLACK * max(len(self._fields), _FEW_LINES):
            self._write_anew()
        else:
            self._append(written)
            self._lines += len(self._unsaved)
        self._unsaved = set()

    def _append(self, lines: bytes) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        fd = os.open(self._path, flags, _FILE_MODE)
        try:
            end = os.fstat(fd).st_size
            # What a crash left of a line stays a line of its own, which nobody can read.
            is_torn = end > 0 and os.pread(fd, 1, end - 1) != b"\n"
            write_fully(self._disk, fd, b"\n" + lines if is_torn else lines)
            self._disk.sync(fd)
        finally:
            os.close(fd)
        if not end:
            self._disk.sync_directory(self._path.parent)

    def _write_anew(self) -> None:
        """Write what is known, by other imports as well, without what is overtaken."""
        others, _ = _read(self._path)
        fields = {key: one for key, one in others.items() if key not in self._fields}
        fields |= self._fields
        for key in list(fields)[: max(0, len(fields) - _MAX_ENTRIES)]:
            del fields[key]
        content = (_line(key, one) for key, one in fields.items())
        write_atomically(self._disk, self._path, content)
        self._fields, self._lines = fields, len(fields)

    def _entry(self, source: str, file: FileIdentity) -> JsonObject | None:
        keys = (f"{source}:{file.path}", self._by_inode.get(f"{source}:{file.inode}", ""))
        for key in keys:
            entry = self._fields.get(key)
            if isinstance(entry, dict) and _is_same(entry, file):
                return entry
        return None


def _line(key: str, entry: JsonValue) -> bytes:
    return orjson.dumps({"key": key, "entry": entry}) + b"\n"


def _read(path: Path) -> tuple[JsonObject, int]:
    """What the file says, by key in order of writing, and how many lines it has."""
    fields: JsonObject = {}
    lines = 0
    try:
        with path.open("rb") as file:
            for line in file:
                lines += 1
                try:
                    found = orjson.loads(line)
                    key, entry = found["key"], found["entry"]
                except (ValueError, KeyError, TypeError):
                    continue
                fields.pop(key, None)
                fields[key] = entry
    except OSError:
        pass
    return fields, lines


def _is_same(entry: JsonObject, file: FileIdentity) -> bool:
    head_bytes, size_bytes = entry.get("head_bytes"), entry.get("size_bytes")
    if not isinstance(head_bytes, int) or not isinstance(size_bytes, int):
        return False
    head = file.head[:head_bytes]
    return (
        len(head) == head_bytes
        and file.size_bytes >= size_bytes
        and entry.get("head") == hashlib.sha256(head).hexdigest()
    )
