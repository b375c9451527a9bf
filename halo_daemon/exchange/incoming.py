"""What an importer hands over: requests for the decoder, and what it left out; pure."""

from collections.abc import Callable, Iterator
from io import BufferedReader
from typing import NamedTuple

from halo_daemon.exchange.files import lines as file_lines


class Request(NamedTuple):
    """One export request, as if it had come in by the port."""

    body: bytes
    is_protobuf: bool = False


class Skipped(NamedTuple):
    """One record that was left out."""

    reason: str
    where: str
    """Line or record number, or the field."""


Incoming = Request | Skipped

Importer = Callable[[BufferedReader, str], Iterator[Incoming]]
"""Reads one stream, whose name is given; records that cannot be read become `Skipped`."""

MAX_SPANS_A_REQUEST = 1_000


def numbered_lines(stream: BufferedReader) -> Iterator[tuple[str, bytes | None]]:
    """Each line with its name for people; None instead of a line that is too long."""
    for number, line in enumerate(file_lines(stream), start=1):
        yield f"line {number}", line
