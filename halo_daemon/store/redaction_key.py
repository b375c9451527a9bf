"""The key with which secrets are hashed: made once, the same for every process that stores."""

import os
import secrets
from pathlib import Path

from halo_daemon.errors import StoreError
from halo_daemon.store.disk import Disk, held, write_fully
from halo_daemon.store.paths import TEMPORARY_PREFIX

KEY_BYTES = 32


def redaction_key(path: Path) -> bytes:
    """
    The key in *path*; a new one where there is none.

    Of several processes that begin at once, all get the same.

    Raises:
        StoreError: It cannot be read or made, or is none.
    """
    try:
        if not path.exists():
            _make(path)
        with path.open("rb") as file:
            key = file.read(KEY_BYTES + 1)
    except OSError as exc:
        raise StoreError(
            f"cannot read the key of `redaction.secrets: hash` in {path}: {exc.strerror or exc}",
            hint="check who may read and write it",
        ) from exc
    if len(key) != KEY_BYTES:
        raise StoreError(
            f"cannot use the key of `redaction.secrets: hash` in {path}:"
            f" {len(key):,} bytes are not {KEY_BYTES}",
            hint="put the file back from a backup; with a new one, secrets stored before and"
            " after no longer look equal",
        )
    return key


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(4)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            write_fully(Disk(), fd, secrets.token_bytes(KEY_BYTES))
            os.fsync(fd)
        finally:
            os.close(fd)
        # Not by a link, which some file systems do not have.
        with held(path.parent):
            if not path.exists():
                temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    Disk().sync_directory(path.parent)
