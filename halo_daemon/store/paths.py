"""
Every file name of the data directory; no other module spells one.

::

    <root>/lock, keys.json, redaction.key
    <root>/measures/<worker>.json                             while several workers run
    <root>/outbox/
    <root>/imports.jsonl
    <root>/schedules/<name>.paused, <name>.asked
    <root>/projects/<slug>/project.json, findings.jsonl, schedule.json, outcomes.jsonl
    <root>/projects/<slug>/triage.yaml, contract.yaml         written by people
    <root>/projects/<slug>/pruning.json                       while traces are deleted
    <root>/projects/<slug>/catalog.sqlite, merged.sqlite      derived
    <root>/projects/<slug>/runs/<run-id>/, latest
    <root>/projects/<slug>/spans/<day>/index.sqlite           derived
    <root>/projects/<slug>/spans/<day>/quarantine/
    <root>/projects/<slug>/spans/<day>/<hhmmss>Z-w<worker>-<seq>.jsonl[.zst]
    <root>/projects/<slug>/spans/<day>/<hhmmss>Z-w<worker>-<seq>.receipts
"""

import os
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from halo_daemon.proto.project import slugify

_NANOS = 10**9
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SHARD = re.compile(r"([0-9]{6})Z-w([0-9]{1,4})-([0-9]{6,12})")

_SPANS = "spans"

PLAIN_SUFFIX = ".jsonl"
COMPRESSED_SUFFIX = ".jsonl.zst"
RECEIPTS_SUFFIX = ".receipts"
TORN_SUFFIX = ".torn"
PAUSED_SUFFIX = ".paused"
ASKED_SUFFIX = ".asked"
TEMPORARY_PREFIX = ".tmp-"
DOOMED_PREFIX = ".deleting-"
"""Of a deleted project that is not gone from the disk yet."""


class ShardName(NamedTuple):
    """
    The name of a shard without its suffix; names sort by opening time, worker and sequence.

    The name never changes when the file is compressed.
    """

    day: str
    stem: str

    @property
    def opened_unix_ns(self) -> int:
        """When the shard was opened, to the second; the start of the day when unreadable."""
        match = _SHARD.fullmatch(self.stem)
        clock = match[1] if match else "000000"
        text = f"{self.day} {clock}"
        try:
            moment = datetime.strptime(text, "%Y-%m-%d %H%M%S").replace(tzinfo=UTC)
        except ValueError:
            moment = datetime.strptime(self.day, "%Y-%m-%d").replace(tzinfo=UTC)
        return int(moment.timestamp()) * _NANOS


def day_of(unix_ns: int) -> str:
    """The UTC day of a moment, ``YYYY-MM-DD``."""
    return _day_at(unix_ns // _NANOS // 3600)


@lru_cache(maxsize=64)
def _day_at(unix_hours: int) -> str:
    return datetime.fromtimestamp(unix_hours * 3600, UTC).strftime("%Y-%m-%d")


@lru_cache(maxsize=4096)
def stem_of(file_name: str) -> str | None:
    """The shard that a file of a day's directory is a form of; None for other files."""
    for suffix in (COMPRESSED_SUFFIX, PLAIN_SUFFIX):
        if file_name.endswith(suffix):
            stem = file_name.removesuffix(suffix)
            return stem if _SHARD.fullmatch(stem) else None
    return None


def shard_stem(unix_ns: int, *, worker: int, sequence: int) -> str:
    """The name of a shard opened at a moment, without its suffix."""
    clock = datetime.fromtimestamp(unix_ns // _NANOS, UTC).strftime("%H%M%S")
    return f"{clock}Z-w{worker}-{sequence:06d}"


def _is_day(name: str) -> bool:
    if _DAY.fullmatch(name) is None:
        return False
    try:
        date.fromisoformat(name)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class DayPaths:
    """The files of one project that were received on one UTC day."""

    directory: Path
    derived: Path | None = None
    """Where derived files are instead of beside the spans."""

    @property
    def day(self) -> str:
        """The day, ``YYYY-MM-DD``."""
        return self.directory.name

    @property
    def index(self) -> Path:
        """The day's derived index."""
        if self.derived is not None:
            return self.derived / f"{self.day}.sqlite"
        return self.directory / "index.sqlite"

    @property
    def quarantine(self) -> Path:
        """Where torn tails are kept."""
        return self.directory / "quarantine"

    def plain(self, stem: str) -> Path:
        """A shard that may still grow, or was not yet compressed."""
        return self.directory / f"{stem}{PLAIN_SUFFIX}"

    def compressed(self, stem: str) -> Path:
        """A sealed shard in seekable frames."""
        return self.directory / f"{stem}{COMPRESSED_SUFFIX}"

    def receipts(self, stem: str) -> Path:
        """When which bytes of a shard arrived."""
        return self.directory / f"{stem}{RECEIPTS_SUFFIX}"

    def torn_tail(self, stem: str, offset: int) -> Path:
        """The bytes that were cut from a shard at *offset*."""
        return self.quarantine / f"{stem}.{offset:012d}{TORN_SUFFIX}"

    def stems(self) -> list[str]:
        """The day's shards, in order of name; empty when the directory is gone."""
        try:
            names = [entry.name for entry in self.directory.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted({stem for name in names if (stem := stem_of(name)) is not None})


@lru_cache(maxsize=64)
def _days_among(
    project: Path, names: tuple[str, ...], derived: Path | None
) -> tuple["DayPaths", ...]:
    """The days that entries beside each other are the directories of, oldest first."""
    return tuple(
        DayPaths(project / _SPANS / name, derived) for name in sorted(names) if _is_day(name)
    )


@dataclass(frozen=True, slots=True)
class ProjectPaths:
    """The files of one project."""

    directory: Path
    derived: Path | None = None
    """Where derived files are instead of beside the spans."""

    @property
    def slug(self) -> str:
        """The project's slug."""
        return self.directory.name

    @property
    def project_json(self) -> Path:
        """Original name and time of creation."""
        return self.directory / "project.json"

    @property
    def spans(self) -> Path:
        """The directory of days."""
        return self.directory / _SPANS

    @property
    def pruning(self) -> Path:
        """What a deletion of traces that is under way set out to do."""
        return self.directory / "pruning.json"

    @property
    def catalog(self) -> Path:
        """Which days hold which trace; derived."""
        return (self.derived or self.directory) / "catalog.sqlite"

    @property
    def merged(self) -> Path:
        """The index of traces with spans in several days; derived."""
        return (self.derived or self.directory) / "merged.sqlite"

    @property
    def index_lock(self) -> Path:
        """Held by whoever brings the derived files up to date."""
        return (self.derived or self.directory) / "index.lock"

    @property
    def findings(self) -> Path:
        """The ledger of findings, append-only."""
        return self.directory / "findings.jsonl"

    @property
    def outcomes(self) -> Path:
        """Earlier traces of which it is known whether they failed."""
        return self.directory / "outcomes.jsonl"

    @property
    def triage(self) -> Path:
        """What people said of findings."""
        return self.directory / "triage.yaml"

    @property
    def contract(self) -> Path:
        """What people state about the project's tools; optional."""
        return self.directory / "contract.yaml"

    @property
    def schedule(self) -> Path:
        """When scheduled runs last completed."""
        return self.directory / "schedule.json"

    @property
    def runs(self) -> Path:
        """The directory of runs."""
        return self.directory / "runs"

    @property
    def latest(self) -> Path:
        """Symbolic link to the newest complete run."""
        return self.directory / "latest"

    def day(self, day: str) -> DayPaths:
        """The files received on *day*, ``YYYY-MM-DD``."""
        assert _is_day(day), day
        return DayPaths(self.spans / day, self.derived)

    def days(self) -> tuple[DayPaths, ...]:
        """
        Every day that has a directory, oldest first; empty for a new project.

        The same object as before where nothing changed: this is asked before every answer.
        """
        try:
            names = os.listdir(f"{self.directory}/{_SPANS}")  # noqa: PTH208 -- makes no paths
        except (FileNotFoundError, NotADirectoryError):
            names = []
        return _days_among(self.directory, tuple(names), self.derived)


@dataclass(frozen=True, slots=True)
class DataPaths:
    """The data directory."""

    root: Path

    @property
    def keys(self) -> Path:
        """The ingest keys, hashed."""
        return self.root / "keys.json"

    @property
    def redaction_key(self) -> Path:
        """With which secrets are hashed; there once `redaction.secrets` was `hash`."""
        return self.root / "redaction.key"

    @property
    def measures(self) -> Path:
        """Where receiving processes leave their counts for one another."""
        return self.root / "measures"

    @property
    def lock(self) -> Path:
        """Names the process that writes."""
        return self.root / "lock"

    @property
    def projects(self) -> Path:
        """The directory of projects."""
        return self.root / "projects"

    @property
    def capabilities(self) -> Path:
        """What was learnt of model providers; may be deleted."""
        return self.root / "model-capabilities.json"

    @property
    def outbox(self) -> Path:
        """Deliveries not yet accepted by their target."""
        return self.root / "outbox"

    @property
    def schedules(self) -> Path:
        """What people said of schedule entries: a file for each, by its name."""
        return self.root / "schedules"

    @property
    def imports(self) -> Path:
        """How far imported files were read."""
        return self.root / "imports.jsonl"

    def project(self, slug: str) -> ProjectPaths:
        """
        The files of one project.

        Raises:
            ValueError: *slug* is not a slug, and so could name a path elsewhere.
        """
        if not slug.strip() or slugify(slug) != slug:
            raise ValueError(f"`{slug[:80]}` is not a project slug")
        return ProjectPaths(self.projects / slug)

    def slugs(self) -> list[str]:
        """Every project that has a directory, in order of slug; empty for a new data directory."""
        try:
            names = [entry.name for entry in self.projects.iterdir() if entry.is_dir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(name for name in names if name.strip() and slugify(name) == name)


def is_left_out_of_copies(path: Path) -> bool:
    """Whether a file of the data directory is derived, temporary, or only of this machine."""
    return (
        ".sqlite" in path.name
        or path.name in {"lock", "index.lock"}
        or path.name.startswith((TEMPORARY_PREFIX, DOOMED_PREFIX))
    )
