"""
``triage.yaml``: what people decided about findings, by hand or by command.

The file is theirs: a change rewrites the block of one finding and leaves every
other line, comments included, as it was.
"""

import codecs
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from halo_daemon.config_yaml import Member, Node, Place, Problem, read_document
from halo_daemon.errors import ConfigError, StoreError
from halo_daemon.findings import Triage, until_of
from halo_daemon.log import get_logger
from halo_daemon.store.disk import Disk, held, write_atomically
from halo_daemon.store.paths import DataPaths

log = get_logger()

_HEADER = "# Decisions about findings; see `halo-daemon finding --help`.\nfindings:\n"
_ID = re.compile(r"F-[0-9A-HJKMNP-TV-Z]{12}")
_KEYS = frozenset({"findings", "version"})
_MAX_TOLD = 5
_INDENT = 2
_MAX_ESCAPED = 0xFFFF
_NOTHING = re.compile(r"\s*:\s+(\{\s*\}|~|null)(?=\s|$)", re.IGNORECASE)


class TriageFile:
    """
    The decisions of one project.

    Args:
        root: The data directory.

        project: Slug of the project.

        disk: System calls; tests make them fail.
    """

    def __init__(self, root: Path, project: str, *, disk: Disk | None = None) -> None:
        self._path = DataPaths(root).project(project).triage
        self._disk = disk or Disk()

    def read(self) -> dict[str, Triage]:
        """
        Every decision by finding id; empty while there is no file.

        Raises:
            ConfigError: The file is not what it should be, with every mistake in it.
            StoreError: The file cannot be read.
        """
        decisions, mistakes = _parsed(self._text(), str(self._path))
        if mistakes:
            raise ConfigError(
                f"cannot read the decisions: {mistakes[0]}",
                hint="correct the lines named above",
                diagnostics=tuple(mistakes),
            )
        return decisions

    def read_what_is_right(self) -> tuple[dict[str, Triage], tuple[str, ...]]:
        """
        Every decision that can be read, and what is wrong with the others.

        A report is written all the same, and a slip in one line must not undo all others.
        """
        try:
            decisions, mistakes = _parsed(self._text(), str(self._path))
        except StoreError as exc:
            decisions, mistakes = {}, [str(exc)]
        if mistakes:
            log.warning("triage_unreadable", path=str(self._path), mistakes=mistakes[:_MAX_TOLD])
        directory = f"{self._path.parent}/"
        return decisions, tuple(mistake.replace(directory, "") for mistake in mistakes[:_MAX_TOLD])

    def decide(self, finding_id: str, triage: Triage) -> None:
        """
        Write one decision; an ``open`` one takes the finding's block away.

        Decisions made at the same time by other processes stay.

        Raises:
            ConfigError: The file is wrong, or of a form that cannot be changed, and is left as it is.
            StoreError: The disk refused; the file is as it was.
            ValueError: *finding_id* is not an id, or the decision's end no time.
        """
        _checked_id(finding_id)
        if triage.until is not None:
            triage = triage.model_copy(update={"until": until_of(triage.until)})
        try:
            self._disk.make_directory(self._path.parent)
            with held(self._path.parent):
                self._write(self._decided(finding_id, triage))
        except OSError as exc:
            raise StoreError(
                f"cannot write the decisions to {self._path}: {exc}",
                hint="check free space and permissions of the data directory",
            ) from exc

    def _decided(self, finding_id: str, triage: Triage) -> str:
        """
        The file's text with one decision more, or less.

        Raises:
            ConfigError: People write the file in a form that cannot be changed line by line.
        """
        known, text = self.read(), self._text() or _HEADER
        wanted = {name: said for name, said in known.items() if name != finding_id}
        if triage.state != "open" or triage.note:
            wanted[finding_id] = triage
        root, _ = read_document(text, str(self._path))
        members = root.content if isinstance(root.content, dict) else {}
        lines = _changed(
            text.removesuffix("\n").split("\n"), members.get("findings"), finding_id, wanted
        )
        changed = "\n".join(lines) + "\n"
        # What people wrote is never made worse: it must read back as what was meant.
        if _parsed(changed, str(self._path)) != (wanted, []):
            raise ConfigError(
                f"cannot write the decision on {finding_id} into {self._path}: `findings` is not"
                " one id a line",
                hint="write each id below `findings:` on a line of its own, its fields below it",
            )
        return changed

    def _write(self, text: str) -> None:
        """Write *text* with the line ends, and the mark before the first, that the file has."""
        before = self._path.read_bytes() if self._path.exists() else b""
        content = text.replace("\n", "\r\n") if b"\r\n" in before else text
        mark = codecs.BOM_UTF8 if before.startswith(codecs.BOM_UTF8) else b""
        write_atomically(self._disk, self._path, mark + content.encode())

    def _text(self) -> str:
        try:
            return self._path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as exc:
            raise StoreError(f"cannot read {self._path}: {exc}") from exc


def plain(node: Node) -> object:
    """The value of a tree without its places."""
    content = node.content
    if isinstance(content, dict):
        return {key: plain(member.node) for key, member in content.items()}
    return [plain(item) for item in content] if isinstance(content, list) else content


def _checked_id(identity: object) -> str:
    if not isinstance(identity, str) or _ID.fullmatch(identity) is None:
        raise ValueError(f"`{str(identity)[:40]}` is not the id of a finding")
    return identity


def _triage_of(row: object) -> Triage:
    """
    The decision that a finding's block tells.

    Raises:
        ValueError: It is none, or its ``until`` is no time.
    """
    if not isinstance(row, dict):
        raise ValueError("is not a decision: write `state: …` below the id")  # noqa: TRY004
    triage = Triage.model_validate(row, extra="forbid")
    if triage.until is None:
        return triage
    return triage.model_copy(update={"until": until_of(str(triage.until))})


def _problem(place: Place, identity: str, error: Any) -> Problem:
    key = ".".join(("findings", identity, *map(str, error["loc"])))
    return Problem(place, key, error["msg"])


def _parsed(text: str, source: str) -> tuple[dict[str, Triage], list[str]]:
    """Every decision that is right, and every mistake."""
    root, problems = read_document(text, source)
    content = root.content if isinstance(root.content, dict) else {}
    problems += [
        Problem(member.place, key, "unknown key: decisions stand under `findings`")
        for key, member in content.items()
        if key not in _KEYS
    ]
    decisions: dict[str, Triage] = {}
    for identity, row in _rows(content.get("findings"), problems):
        try:
            decisions[_checked_id(identity)] = _triage_of(plain(row.node))
        except ValidationError as exc:
            problems += [_problem(row.place, identity, error) for error in exc.errors()]
        except ValueError as exc:
            problems.append(Problem(row.place, f"findings.{identity}", str(exc)))
    return decisions, [str(problem) for problem in problems]


def _rows(findings: Member | None, problems: list[Problem]) -> list[tuple[str, Member]]:
    if findings is None or findings.node.content is None:
        return []
    if isinstance(findings.node.content, dict):
        return list(findings.node.content.items())
    problems.append(Problem(findings.place, "findings", "is not a mapping of ids to decisions"))
    return []


def _changed(
    lines: list[str], findings: Member | None, finding_id: str, wanted: Mapping[str, Triage]
) -> list[str]:
    """*lines* with the block of one finding as *wanted* has it, in the file's own indentation."""
    indent = _INDENT
    if findings is None:
        lines = [*lines, "findings:"]
        at = len(lines)
    else:
        at = findings.place.line
        rows = findings.node.content
        if isinstance(rows, dict) and rows:
            indent = min(row.place.column for row in rows.values()) - 1
        else:
            lines[at - 1] = _NOTHING.sub(":", lines[at - 1], count=1)
    kept = _without(lines, finding_id)
    if finding_id in wanted:
        kept[at:at] = _block(finding_id, wanted[finding_id], " " * indent)
    return kept


def _without(lines: list[str], finding_id: str) -> list[str]:
    """The lines without the block of one finding."""
    opened = re.compile(rf"(\s+)[\"']?{re.escape(finding_id)}[\"']?\s*:")
    kept: list[str] = []
    depth: int | None = None
    for line in lines:
        match = opened.match(line)
        indent = len(line) - len(line.lstrip())
        if match:
            depth = len(match[1])
            continue
        if depth is not None and line.strip() and indent <= depth:
            depth = None
        if depth is None or not line.strip():
            kept.append(line)
    return kept


def _block(finding_id: str, triage: Triage, margin: str) -> list[str]:
    fields = triage.model_dump(exclude_defaults=True)
    # A JSON text is a YAML text, quoted by its own emitter.
    return [f"{margin}{finding_id}:"] + [
        f"{2 * margin}{name}: {_quoted(value)}" for name, value in fields.items()
    ]


def _quoted(value: str) -> str:
    """A JSON text, with escapes for what YAML would take for an end of line, or refuse."""
    text = orjson.dumps(value).decode()
    return "".join(
        char if char.isprintable() or ord(char) > _MAX_ESCAPED else f"\\u{ord(char):04x}"
        for char in text
    )
