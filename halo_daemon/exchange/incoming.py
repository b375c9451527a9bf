"""What an importer is given, what it hands over, and what it left out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple


class Place(NamedTuple):
    """Where reading can begin again with nothing lost and nothing read twice."""

    offset_bytes: int = 0
    """From the start of the file, after it was unpacked."""

    records: int = 0
    """Lines or records before it, so that errors name the right one."""


START = Place()


@dataclass(frozen=True, slots=True)
class Input:
    """
    One file, open.

    Attributes:
        stream: Its bytes, unpacked, from `start` on.
        name: Its name without suffixes, for what the file itself does not name.
        start: Where *stream* begins.
        directory: Where files lie that it refers to; None for stdin.
    """

    stream: BufferedReader
    name: str
    start: Place = START
    directory: Path | None = None


class Request(NamedTuple):
    """One export request, as if it had come in by the port."""

    body: bytes
    is_protobuf: bool = False
    resume: Place | None = None
    """Where to go on once it is stored; None when only the start of the file will do."""


class Skipped(NamedTuple):
    """One record that was left out."""

    reason: str
    where: str
    """Line or record number, or the field."""


Incoming = Request | Skipped

Importer = Callable[[Input], Iterator[Incoming]]
"""Reads one file; records that cannot be read become `Skipped`."""

MAX_SPANS_A_REQUEST = 1_000
