"""
Bringing files in: read, decode, store, and say what was left out.

Every source becomes OTLP and goes through the decoder of the receiver, so the
same rules hold as for the port. Records are stored in batches, each durable
before its place in the file is noted, so an import that was interrupted goes
on where it stopped; and since ids follow from the input alone, reading a file
twice stores nothing that counts twice.
"""

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, cast

import orjson
import structlog

from halo_daemon.errors import ConfigError, DecodeError, HaloError, LimitError
from halo_daemon.exchange.files import UnpackError, open_stream, peek_text
from halo_daemon.exchange.incoming import Importer, Incoming, Skipped
from halo_daemon.exchange.read_claude_code import read_claude_code
from halo_daemon.exchange.read_codex import read_codex
from halo_daemon.exchange.read_otlp import read_halo, read_otlp
from halo_daemon.exchange.read_spans import (
    read_atif,
    read_langfuse,
    read_openai_agents,
    read_phoenix,
)
from halo_daemon.proto.batch import DecodedRequest, DecodeLimits, SpanBatch
from halo_daemon.proto.json_value import Attributes, JsonObject
from halo_daemon.proto.otlp import decode_protobuf
from halo_daemon.proto.otlp_json import decode_json
from halo_daemon.proto.project import Project, project_named
from halo_daemon.store.disk import Disk, write_atomically

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

Accept = Callable[[Sequence[SpanBatch]], Awaitable[None]]
"""Where batches go: `SpanWriter.accept`, or nowhere in a dry run."""

IMPORTERS: dict[str, Importer] = {
    "otlp": read_otlp,
    "halo": read_halo,
    "phoenix": read_phoenix,
    "langfuse": read_langfuse,
    "openai-agents": read_openai_agents,
    "claude-code": read_claude_code,
    "codex": read_codex,
    "atif": read_atif,
}

_LIMITS = DecodeLimits(max_spans=10**6)
_HEAD_BYTES = 4096
_MAX_FILES = 100_000


@dataclass
class ImportSummary:
    """What an import did."""

    files: int = 0
    accepted_spans: int = 0
    rejected_spans: int = 0
    """Spans that the decoder refused, such as those with invalid ids."""

    projects: Counter[str] = field(default_factory=Counter)
    """Accepted spans by project."""

    skipped: Counter[str] = field(default_factory=Counter)
    """Records left out, by reason."""

    examples: dict[str, str] = field(default_factory=dict)
    """Where each reason was met first."""


class ImportState:
    """
    How far files were read, on disk.

    Args:
        path: Where it is kept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            found = orjson.loads(path.read_bytes())
        except (OSError, ValueError):
            found = {}
        self._fields: JsonObject = found if isinstance(found, dict) else {}

    def records_done(self, source: str, file: Path, fingerprint: str) -> int:
        """Records of *file* that are stored; 0 for a file that is new or begins otherwise."""
        entry = self._fields.get(f"{source}:{file.absolute()}")
        if not isinstance(entry, dict) or entry.get("fingerprint") != fingerprint:
            return 0
        return cast("int", entry.get("records", 0))

    def note(self, source: str, file: Path, fingerprint: str, records: int) -> None:
        """Note that so many records of *file* are stored."""
        self._fields[f"{source}:{file.absolute()}"] = {
            "fingerprint": fingerprint,
            "records": records,
        }
        write_atomically(Disk(), self._path, orjson.dumps(self._fields))


class FileProgress(NamedTuple):
    """Told after each batch."""

    file: Path
    records: int
    spans: int


@dataclass(kw_only=True)
class Import:
    """
    One import of one source.

    Attributes:
        source: A key of `IMPORTERS`.
        accept: Where batches go.
        project: Where all spans go; ``""`` for the resource's ``service.name``, else the
            file's name.
        state: Where places are noted; None notes nothing.
        resume: Whether to skip what *state* says is stored.
        tell: Called after each batch.
        summary: What was done so far.
    """

    source: str
    accept: Accept
    project: str = ""
    state: ImportState | None = None
    resume: bool = False
    tell: Callable[[FileProgress], None] = lambda _: None
    summary: ImportSummary = field(default_factory=ImportSummary)

    async def run(self, files: Sequence[Path]) -> ImportSummary:
        """
        Import files, or stdin for ``-``; bad records never end an import.

        Raises:
            ConfigError: There is no such source.
            HaloError: A file cannot be opened, or a batch was not accepted.
        """
        if self.source not in IMPORTERS:
            raise ConfigError(
                f"cannot import `{self.source}`: no such source",
                hint=f"one of {', '.join(IMPORTERS)}",
            )
        for file in files:
            self.summary.files += 1
            await self._import_file(file)
        return self.summary

    async def _import_file(self, file: Path) -> None:
        name = file.name.split(".")[0] or self.source
        project_of = project_namer(self.project, name)
        with open_stream(file) as stream:
            fingerprint = hashlib.sha256(peek_text(stream)[:_HEAD_BYTES]).hexdigest()
            done = self._records_done(file, fingerprint)
            spans = 0
            found = _safely(IMPORTERS[self.source](stream, name))
            for records, incoming in enumerate(found, start=1):
                if records <= done:
                    continue
                decoded = _decode(incoming, project_of, self.summary)
                if decoded is None or not decoded.batches:
                    continue
                await self.accept(decoded.batches)
                _count(decoded, self.summary)
                spans += sum(batch.spans for batch in decoded.batches)
                if self.state is not None:
                    self.state.note(self.source, file, fingerprint, records)
                self.tell(FileProgress(file, records, spans))

    def _records_done(self, file: Path, fingerprint: str) -> int:
        if self.state is None or not self.resume:
            return 0
        return self.state.records_done(self.source, file, fingerprint)


def files_below(paths: Sequence[Path]) -> list[Path]:
    """
    Files of directories, without following links, in order; files and ``-`` as they are.

    Raises:
        HaloError: A path does not exist, or there are too many files.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(
                file for file in path.rglob("*") if file.is_file() and not file.is_symlink()
            )
        elif path.is_file() or str(path) == "-" or path.exists():
            found.append(path)
        else:
            raise HaloError(f"cannot read {path}: no such file", hint="check the path")
        if len(found) > _MAX_FILES:
            raise HaloError(
                f"cannot import {len(found)} files at once", hint="name a directory below"
            )
    return found


def project_namer(project: str, fallback: str) -> Callable[[Attributes], Project]:
    """Which project a resource belongs to: the one that was named, else its service."""

    def project_of(resource: Attributes) -> Project:
        service = resource.get("openinference.project.name") or resource.get("service.name")
        name = project or (service if isinstance(service, str) else "")
        return project_named(name if name.strip() else fallback)

    return project_of


def _safely(found: Iterator[Incoming]) -> Iterator[Incoming]:
    """Records up to where a compressed stream is damaged."""
    try:
        yield from found
    except UnpackError as exc:
        yield Skipped("damaged compression, the rest was not read", str(exc)[:80])


def _decode(
    incoming: Incoming, project_of: Callable[[Attributes], Project], summary: ImportSummary
) -> DecodedRequest | None:
    if isinstance(incoming, Skipped):
        _skip(summary, incoming.reason, incoming.where)
        return None
    decode = decode_protobuf if incoming.is_protobuf else decode_json
    try:
        decoded = decode(incoming.body, project_of=project_of, limits=_LIMITS)
    except (DecodeError, LimitError) as exc:
        _skip(summary, "not an OTLP request", str(exc)[:200])
        return None
    summary.rejected_spans += decoded.rejected_spans
    for reason, count in decoded.rejected.items():
        _skip(summary, reason, decoded.error_message[:200], count)
    return decoded


def _skip(summary: ImportSummary, reason: str, where: str, count: int = 1) -> None:
    summary.skipped[reason] += count
    summary.examples.setdefault(reason, where)


def _count(decoded: DecodedRequest, summary: ImportSummary) -> None:
    for batch in decoded.batches:
        summary.accepted_spans += batch.spans
        summary.projects[batch.project.slug] += batch.spans
