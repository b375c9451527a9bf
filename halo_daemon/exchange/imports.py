"""
Bringing files in: read, decode, store, and say what was left out.

Every source becomes OTLP and goes through the decoder of the receiver, so the
same rules hold as for the port. Spans are stored in batches, each durable
before its place in the file is noted, so an import that was interrupted goes
on where it stopped; and since ids follow from the input alone, reading a file
twice stores nothing that counts twice.
"""

import re
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Final, NamedTuple

from halo_daemon.errors import ConfigError, HaloError
from halo_daemon.exchange.files import PEEK_BYTES, UnpackError, open_input, peek
from halo_daemon.exchange.import_batches import Accept, Gathering, ImportSummary, StartWindow
from halo_daemon.exchange.import_state import FileIdentity, ImportState
from halo_daemon.exchange.incoming import START, Importer, Incoming, Input, Place, Request, Skipped
from halo_daemon.exchange.json_records import CUT_OFF
from halo_daemon.exchange.read_atif import read_atif
from halo_daemon.exchange.read_claude_code import read_claude_code
from halo_daemon.exchange.read_codex import read_codex
from halo_daemon.exchange.read_halo import read_halo
from halo_daemon.exchange.read_langfuse import read_langfuse
from halo_daemon.exchange.read_langsmith import read_langsmith
from halo_daemon.exchange.read_mlflow import read_mlflow
from halo_daemon.exchange.read_openai_agents import read_openai_agents
from halo_daemon.exchange.read_otlp import CUT_OFF_RECORD, read_otlp
from halo_daemon.exchange.read_phoenix import read_phoenix
from halo_daemon.exchange.recognise import PARQUET, UTF_16, recognise
from halo_daemon.proto.batch import ProjectOf
from halo_daemon.proto.json_value import Attributes
from halo_daemon.proto.project import Project, project_named

AUTO: Final = "auto"
"""Each file is of the source that its content tells."""

IMPORTERS: Final[dict[str, Importer]] = {
    "otlp": read_otlp,
    "halo": read_halo,
    "langfuse": read_langfuse,
    "phoenix": read_phoenix,
    "langsmith": read_langsmith,
    "mlflow": read_mlflow,
    "openai-agents": read_openai_agents,
    "claude-code": read_claude_code,
    "codex": read_codex,
    "atif": read_atif,
}

_UNNAMED = "unknown_service"
"""How SDKs begin the name of a service that nobody named."""

_UNREAD = "cannot be read to its end"
"""What the disk refused may be given another time, so such a file is not done with."""

_MAX_FILES = 100_000
_BATCH_BYTES = 4 * 1024**2
_ROTATED = r"-\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}\.\d{3}"
"""What a rotation of the Collector's file exporter puts before the extension."""


class FileProgress(NamedTuple):
    """Told after each batch, and at the end of each file."""

    file: Path
    read_bytes: int
    """Of the unpacked file, as far as it is known; 0 at the start."""
    spans: int
    """Stored so far, of all files."""
    is_finished: bool = False


def require_source(source: str) -> None:
    """
    Refuse a source that nothing here reads.

    Raises:
        ConfigError: There is no such source; the nearest is named.
    """
    known = [*IMPORTERS, AUTO]
    if source in known:
        return
    near = get_close_matches(source, known, n=1)
    meant = f" – did you mean `{near[0]}`?" if near else ""
    raise ConfigError(
        f"cannot import `{source[:80]}`: no such source{meant}",
        hint=f"one of {', '.join(IMPORTERS)}, or {AUTO}",
    )


@dataclass(kw_only=True)
class Import:
    """
    One import of one source.

    Attributes:
        source: A key of `IMPORTERS`, or `AUTO`.
        accept: Where batches go.
        project: Where all spans go; ``""`` for the resource's ``service.name``, else the
            file's name.
        window: Which spans are wanted, by their start.
        state: Where places are noted; None notes nothing.
        resume: Whether to skip what *state* says is stored.
        is_following: Whether files still grow: what is cut off at their end is not told.
        batch_bytes: How many bytes of lines are stored at once.
        tell: Called after each batch.
        summary: What was done so far.
    """

    source: str
    accept: Accept
    project: str = ""
    window: StartWindow = field(default_factory=StartWindow)
    state: ImportState | None = None
    resume: bool = False
    is_following: bool = False
    batch_bytes: int = _BATCH_BYTES
    tell: Callable[[FileProgress], None] = lambda _: None
    summary: ImportSummary = field(default_factory=ImportSummary)

    async def run(self, files: Sequence[Path]) -> ImportSummary:
        """
        Import files, or stdin for ``-``; bad records never end an import.

        Raises:
            ConfigError: There is no such source.
            HaloError: The only file cannot be opened, or a batch was not accepted.
        """
        require_source(self.source)
        gathering = Gathering(project_namer(self.project, self.source), self.window, self.summary)
        for file in files:
            self.summary.files += 1
            trouble = unreadable(file) if len(files) > 1 else ""
            if trouble:
                self.summary.skip("cannot be read", trouble)
            else:
                await self._import_file(file, gathering)
        await self._store(gathering)
        return self.summary

    async def follow(
        self, files: Sequence[Path], sleep: Callable[[], Awaitable[None]]
    ) -> ImportSummary:
        """
        Import files and what is appended to them, until *sleep* raises.

        A file that was renamed by a rotation is read to its end first.
        """
        self.resume = self.is_following = True
        while True:
            await self.run([one for file in files for one in (*rotations(file), file)])
            await sleep()

    async def _import_file(self, file: Path, gathering: Gathering) -> None:
        identity = FileIdentity.of(file) if self.state is not None else None
        start: Place | None = START
        if self.resume and self.state is not None and identity is not None:
            start = self.state.place_of(self.source, identity)
            if start is not None and start.offset_bytes:
                self.summary.continued_files += 1
            elif start is not None and self.state.has_begun(self.source, identity):
                self.summary.restarted_files += 1
        if start is None:
            self.summary.unchanged_files += 1
            return
        name = file.name.split(".")[0] or self.source
        gathering.project_of = project_namer(self.project, name)
        reached = start
        is_read_to_its_end = True
        with closing(_safely(self._incoming(file, start))) as found:
            for incoming in found:
                if isinstance(incoming, Skipped) and incoming.reason == _UNREAD:
                    is_read_to_its_end = False
                if not (self.is_following and _is_end(incoming)):
                    gathering.take(incoming, str(file))
                if isinstance(incoming, Request):
                    reached = incoming.resume or reached
                if gathering.size_bytes >= self.batch_bytes:
                    self._note(identity, reached, is_finished=False)
                    await self._store(gathering)
                    self._tell(file, reached, is_finished=False)
        self._note(identity, reached, is_finished=is_read_to_its_end)
        self._tell(file, reached, is_finished=True)

    def _incoming(self, file: Path, start: Place) -> Iterator[Incoming]:
        """What is in *file* from *start* on; whatever is wrong with it comes up on the way."""
        with open_input(file, start=start) as source:
            yield from self._records(source, file)

    def _records(self, source: Input, file: Path) -> Iterator[Incoming]:
        """What the file's importer finds; nothing where the file is another source's."""
        found = _recognised(source, file)
        if found == PARQUET:
            return self._parquet(source)
        wanted = found if self.source == AUTO else self.source
        if found == UTF_16:
            return iter((Skipped("is UTF-16, and only UTF-8 is read", ""),))
        if wanted not in IMPORTERS:
            # Damage this early is why it is not known, and is met here.
            source.stream.read(PEEK_BYTES)
            return iter((Skipped(f"is of no source that is known ({found or 'text'})", ""),))
        if found and found != wanted:
            return iter((Skipped(f"is {found}, not {wanted}", ""),))
        return IMPORTERS[wanted](source)

    def _parquet(self, source: Input) -> Iterator[Incoming]:
        # Its library is heavy, and few files are Parquet.
        from halo_daemon.exchange.read_parquet import (  # noqa: PLC0415
            parquet_source,
            read_parquet,
            reads_parquet,
        )

        wanted = parquet_source(source) if self.source == AUTO else self.source
        if not reads_parquet(wanted):
            known = f"not read as {wanted}" if wanted else "of no source that is known"
            return iter((Skipped(f"is Parquet, {known}", ""),))
        return read_parquet(source, wanted)

    async def _store(self, gathering: Gathering) -> None:
        await gathering.store(self.accept)
        if self.state is not None:
            self.state.save()

    def _note(self, file: FileIdentity | None, place: Place, *, is_finished: bool) -> None:
        if self.state is not None and file is not None:
            self.state.note(self.source, file, place, is_finished=is_finished)

    def _tell(self, file: Path, reached: Place, *, is_finished: bool) -> None:
        spans = self.summary.accepted_spans
        self.tell(FileProgress(file, reached.offset_bytes, spans, is_finished))


def files_below(paths: Sequence[Path]) -> list[Path]:
    """
    Files of directories, without following links, in order; files and ``-`` as they are.

    Raises:
        ConfigError: A path does not exist.
        HaloError: There are too many files.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(
                file for file in path.rglob("*") if file.is_file() and not file.is_symlink()
            )
        elif str(path) == "-" or path.exists():
            found.append(path)
        else:
            raise ConfigError(f"cannot read {path}: no such file", hint="check the path")
        if len(found) > _MAX_FILES:
            raise HaloError(
                f"cannot import {len(found)} files at once, the limit is {_MAX_FILES}",
                hint="name a directory below",
            )
    return found


def rotations(file: Path) -> list[Path]:
    """Files that a log rotation made of *file*, the oldest first; empty when there are none."""
    pattern = re.compile(
        re.escape(file.stem) + _ROTATED + re.escape(file.suffix) + r"(?:\.gz|\.zst)?"
    )
    try:
        names = [entry.name for entry in file.parent.iterdir()]
    except OSError:
        return []
    return [file.parent / name for name in sorted(names) if pattern.fullmatch(name)]


def _recognised(source: Input, file: Path) -> str:
    """Of which source a file is; its start tells, also where it is read from further on."""
    if not source.start.offset_bytes:
        return recognise(peek(source.stream))
    with open_input(file) as first:
        return recognise(peek(first.stream))


def unreadable(file: Path) -> str:
    """Why a file cannot be opened; ``""`` when it can."""
    if str(file) == "-":
        return ""
    try:
        with file.open("rb"):
            return ""
    except OSError as exc:
        return f"{file}: {exc.strerror}"


def project_namer(project: str, fallback: str) -> ProjectOf:
    """Which project a resource belongs to: the one that was named, else its service."""

    def project_of(resource: Attributes) -> Project:
        service = resource.get("openinference.project.name") or resource.get("service.name")
        name = project or (service if isinstance(service, str) else "")
        is_named = name.strip() and not name.startswith(_UNNAMED)
        return project_named(name if is_named else fallback)

    return project_of


def _safely(found: Iterator[Incoming]) -> Generator[Incoming, None, None]:
    """Records up to where a compressed stream is damaged or the disk refuses."""
    try:
        yield from found
    except UnpackError as exc:
        yield Skipped("damaged compression, the rest was not read", str(exc)[:80])
    except OSError as exc:
        yield Skipped(_UNREAD, str(exc.strerror or exc)[:80])


def _is_end(incoming: Incoming) -> bool:
    return isinstance(incoming, Skipped) and incoming.reason in {CUT_OFF, CUT_OFF_RECORD}
