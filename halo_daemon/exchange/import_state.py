"""How far files and pulls were imported, on disk, so that an import can go on."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import orjson

from halo_daemon.exchange.incoming import START, Place
from halo_daemon.proto.json_value import JsonObject
from halo_daemon.store.disk import Disk, write_atomically

_HEAD_BYTES = 4096
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
    Places that were reached, kept in one file.

    A file is known by its name, or by its inode where a log rotation renamed it, and
    in either case by how it begins.

    Args:
        path: Where it is kept; a damaged one is taken as empty.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            found = orjson.loads(path.read_bytes())
        except (OSError, ValueError):
            found = {}
        self._fields: JsonObject = found if isinstance(found, dict) else {}
        self._is_saved = True
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
        self._is_saved = False

    def pull(self, name: str) -> JsonObject:
        """What was noted of the pull *name*; empty when it is new."""
        entry = self._fields.get(f"pull:{name}")
        return entry if isinstance(entry, dict) else {}

    def note_pull(self, name: str, reached: JsonObject) -> None:
        """Note, in memory, how far the pull *name* is stored."""
        self._fields.pop(f"pull:{name}", None)
        self._fields[f"pull:{name}"] = reached
        self._is_saved = False

    def save(self) -> None:
        """
        Write what was noted, durably; nothing when nothing was since the last time.

        Raises:
            OSError: The disk refused.
        """
        if self._is_saved:
            return
        for key in list(self._fields)[: max(0, len(self._fields) - _MAX_ENTRIES)]:
            del self._fields[key]
        write_atomically(Disk(), self._path, orjson.dumps(self._fields))
        self._is_saved = True

    def _entry(self, source: str, file: FileIdentity) -> JsonObject | None:
        keys = (f"{source}:{file.path}", self._by_inode.get(f"{source}:{file.inode}", ""))
        for key in keys:
            entry = self._fields.get(key)
            if isinstance(entry, dict) and _is_same(entry, file):
                return entry
        return None


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
