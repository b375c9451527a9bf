"""
Read-only tools over a repository: its files and its git history.

Rule 1: only files that git tracks, or that its ignore rules let through, are
shown; never git's own directory, environment files, keys and credentials.

Rule 2: git runs without the repository's own programs: no hooks, no external
diff, no text conversion, no pager, no network, no configuration but git's own
defaults. What a repository holds is not trusted.
"""

import asyncio
import os
import re
import shutil
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from halo_daemon.analyzer.agent.answers import cut_text
from halo_daemon.analyzer.agent.errors import EngineToolError
from halo_daemon.analyzer.agent.git_output import (
    FIELD,
    RECORD,
    blame_rows,
    commit_of,
    without_files,
)
from halo_daemon.analyzer.agent.messages import ToolCall
from halo_daemon.analyzer.agent.repo_arguments import (
    GitBlameArguments,
    GitDiffArguments,
    GitLogArguments,
    GitReadFileArguments,
    GitShowArguments,
    GlobFilesArguments,
    GrepFilesArguments,
    ReadFileArguments,
    ViewRepoTreeArguments,
)
from halo_daemon.analyzer.agent.toolbox import Tool
from halo_daemon.errors import ConfigError
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.store.patterns import compile_pattern

TIMEOUT_S = 10.0
_MAX_FILES = 10_000
_MAX_TREE = 500
_MAX_TREE_DEPTH = 4
_MAX_LINE_CHARS = 500
_MAX_READ_LINE_CHARS = 2_000
_MAX_OUTPUT_BYTES = 150_000
_MAX_FILE_BYTES = 5 * 2**20
_BINARY_PROBE_BYTES = 8_192
_SECRET_NAME = re.compile(
    r"(^|/)(\.git(/|$)|\.env([.\-_/]|$)|\.netrc$|\.npmrc$|\.pypirc$|\.ssh/|\.aws/|\.gnupg/"
    r"|id_(rsa|dsa|ecdsa|ed25519)|[^/]*\.(pem|key|p12|pfx|jks|keystore)$"
    r"|[^/]*(credential|secret)s?([._-][^/]*)?$|\.git-credentials$|\.htpasswd$)",
    re.IGNORECASE,
)
_GIT = (
    "git", "--no-pager", "--no-optional-locks", "--literal-pathspecs",
    "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.pager=cat",
    "-c", "protocol.allow=never", "-c", "diff.external=", "-c", "core.attributesFile=/dev/null",
    "-c", "log.showSignature=false", "-c", "gpg.program=false", "-c", "core.sshCommand=false",
    "-c", "credential.helper=",
)  # fmt: skip


class Repository:
    """One repository, read only."""

    def __init__(self, root: Path, *, timeout_s: float = TIMEOUT_S) -> None:
        """
        Take a directory.

        Args:
            root: The directory.

            timeout_s: How long one search or one run of git may take.

        Raises:
            ConfigError: *root* is no directory.
        """
        if not root.is_dir():
            raise ConfigError(f"cannot read {root}: not a directory (`repo_path`)")
        self._root = root.resolve()
        self._timeout_s = timeout_s

    async def view_repo_tree(self, _: ViewRepoTreeArguments, __: ToolCall) -> JsonObject:
        """Directories and files, cut at a depth and a number."""
        shown: list[str] = []
        for path in await self._files():
            parts = PurePosixPath(path).parts
            cut = "/".join(parts[:_MAX_TREE_DEPTH]) + ("/…" if len(parts) > _MAX_TREE_DEPTH else "")
            if cut not in shown[-1:]:
                shown.append(cut)
            if len(shown) >= _MAX_TREE:
                break
        return {"root": self._root.name, "tree": "\n".join(shown)}

    async def glob_files(self, arguments: GlobFilesArguments, _: ToolCall) -> JsonObject:
        """Paths and sizes, by path."""
        found = await self._matching(arguments.pattern)
        files: list[JsonValue] = [
            {"path": path, "size_bytes": (self._root / path).stat().st_size}
            for path in found[: arguments.max_results]
            if self._is_inside(path)
        ]
        return {
            "files": files,
            "returned_count": len(files),
            "has_more": len(found) > arguments.max_results,
        }

    async def grep_files(self, arguments: GrepFilesArguments, _: ToolCall) -> JsonObject:
        """Matching lines, by path and line; those found in time."""
        paths = await self._matching(arguments.glob_pattern or "**")
        found, has_more = await asyncio.to_thread(self._search, arguments, paths)
        return {"matches": found, "returned_match_count": len(found), "has_more": has_more}

    def _search(
        self, arguments: GrepFilesArguments, paths: list[str]
    ) -> tuple[list[JsonValue], bool]:
        pattern = compile_pattern(arguments.regex_pattern)
        deadline_s = time.monotonic() + self._timeout_s
        found: list[JsonValue] = []
        for path in paths:
            if time.monotonic() > deadline_s:
                return found, True
            for number, line in enumerate(self._text_lines(path), 1):
                if not pattern.search(line):
                    continue
                if len(found) == arguments.max_matches:
                    return found, True
                shown = cut_text(line, _MAX_LINE_CHARS)
                found.append({"path": path, "line_number": number, "line_text": shown})
        return found, False

    async def read_file(self, arguments: ReadFileArguments, _: ToolCall) -> JsonObject:
        """Numbered lines of a file."""
        if arguments.path not in await self._files() or not self._is_inside(arguments.path):
            raise _refused(arguments.path)
        raw = await asyncio.to_thread((self._root / arguments.path).read_bytes)
        return _numbered(arguments, raw)

    async def git_log(self, arguments: GitLogArguments, _: ToolCall) -> JsonObject:
        """Commits without their changes."""
        limit = arguments.max_commits
        options = [
            "--no-ext-diff",
            "--no-textconv",
            f"--max-count={limit + 1}",
            f"--format=%H{FIELD}%an{FIELD}%aI{FIELD}%s",
        ]
        options += [
            f"--{name}={text}" for name in ("since", "until") if (text := getattr(arguments, name))
        ]
        if arguments.pickaxe_string:
            options.append(f"-S{arguments.pickaxe_string}")
        if arguments.pickaxe_regex:
            options.append(f"-G{arguments.pickaxe_regex}")
        refs = [_ref(arguments.ref_range)] if arguments.ref_range else []
        output, _cut = await self._git("log", *options, *refs, *_paths(arguments.path))
        commits: list[JsonValue] = [commit_of(line) for line in output.splitlines() if line]
        return {
            "commits": commits[:limit],
            "returned_count": min(len(commits), limit),
            "has_more": len(commits) > limit,
        }

    async def git_show(self, arguments: GitShowArguments, _: ToolCall) -> JsonObject:
        """One commit."""
        patch = (
            ["--patch", "--no-ext-diff", "--no-textconv"] if arguments.include_patch else ["--stat"]
        )
        form = f"--format=%H{FIELD}%an{FIELD}%aI{FIELD}%s{RECORD}%b"
        output, is_cut = await self._git(
            "show", *patch, form, _commit(arguments.ref), *_paths(arguments.path)
        )
        head, _sep, body = output.partition(RECORD)
        shown = without_files(body, _SECRET_NAME)
        return {"commit": commit_of(head), "body": shown.strip(), "truncated": is_cut}

    async def git_diff(self, arguments: GitDiffArguments, _: ToolCall) -> JsonObject:
        """Changes between two commits."""
        form = ["--stat"] if arguments.stat_only else ["--patch"]
        output, is_cut = await self._git(
            "diff",
            *form,
            "--no-ext-diff",
            "--no-textconv",
            _commit(arguments.from_ref),
            _commit(arguments.to_ref),
            *_paths(arguments.path),
        )
        shown = without_files(output, _SECRET_NAME)
        return {"diff": shown, "stat_only": arguments.stat_only, "truncated": is_cut}

    async def git_blame(self, arguments: GitBlameArguments, _: ToolCall) -> JsonObject:
        """The last commit of each line."""
        lines = f"-L{arguments.start_line},{arguments.end_line}"
        refs = [_ref(arguments.ref)] if arguments.ref else []
        output, is_cut = await self._git(
            "blame", "--no-textconv", "--line-porcelain", lines, *refs, *_paths(arguments.path)
        )
        rows = blame_rows(output)
        return {
            "path": arguments.path,
            "lines": rows,
            "returned_count": len(rows),
            "truncated": is_cut,
        }

    async def git_read_file(self, arguments: GitReadFileArguments, _: ToolCall) -> JsonObject:
        """Numbered lines of a file in a commit."""
        [path] = _paths(arguments.path)[1:]
        output, _cut = await self._git("show", "--no-textconv", f"{_ref(arguments.ref)}:{path}")
        return _numbered(arguments, output.encode())

    async def _files(self) -> list[str]:
        try:
            output, _cut = await self._git(
                "ls-files", "-z", "--cached", "--others", "--exclude-standard", limit_bytes=2**22
            )
            paths = sorted({path for path in output.split("\0") if path})
        except EngineToolError:
            paths = await asyncio.to_thread(self._walk)
        return [path for path in paths[:_MAX_FILES] if not _SECRET_NAME.search(path)]

    def _walk(self) -> list[str]:
        found: list[str] = []
        for folder, folders, files in os.walk(self._root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            relative = Path(folder).relative_to(self._root)
            found += [(relative / name).as_posix() for name in sorted(files) if name[:1] != "."]
            if len(found) >= _MAX_FILES:
                break
        return found

    async def _matching(self, pattern: str) -> list[str]:
        wanted = re.compile(_glob_to_regex(pattern))
        return [path for path in await self._files() if wanted.fullmatch(path)]

    def _is_inside(self, path: str) -> bool:
        real = (self._root / path).resolve()
        inside = real.is_relative_to(self._root) and real.is_file()
        return inside and not _SECRET_NAME.search(real.relative_to(self._root).as_posix())

    def _text_lines(self, path: str) -> list[str]:
        real = self._root / path
        if not self._is_inside(path) or real.stat().st_size > _MAX_FILE_BYTES:
            return []
        raw = real.read_bytes()
        is_binary = b"\0" in raw[:_BINARY_PROBE_BYTES]
        return [] if is_binary else raw.decode("utf-8", "replace").splitlines()

    async def _git(
        self, command: str, *arguments: str, limit_bytes: int = _MAX_OUTPUT_BYTES
    ) -> tuple[str, bool]:
        """Run git; its output and whether it was cut."""
        try:
            process = await asyncio.create_subprocess_exec(
                *_GIT,
                command,
                *arguments,
                cwd=self._root,
                env=_git_environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as exc:
            raise EngineToolError("git is not installed") from exc
        assert process.stdout is not None
        try:
            async with asyncio.timeout(self._timeout_s):
                output = await _read_up_to(process.stdout, limit_bytes)
                is_cut = len(output) > limit_bytes
                if not is_cut and await process.wait():
                    assert process.stderr is not None
                    said = (await process.stderr.read(400)).decode("utf-8", "replace")
                    raise EngineToolError(f"git {command}: {said.strip()[:300]}")
        except TimeoutError as exc:
            raise EngineToolError(f"git {command} took more than {self._timeout_s:g} s") from exc
        finally:
            if process.returncode is None:
                _kill_with_children(process)
                await process.wait()
        return output[:limit_bytes].decode("utf-8", "replace"), is_cut


def _kill_with_children(process: asyncio.subprocess.Process) -> None:
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


async def _read_up_to(stream: asyncio.StreamReader, limit_bytes: int) -> bytes:
    output = b""
    while len(output) <= limit_bytes and (piece := await stream.read(65_536)):
        output += piece
    return output


def repo_tools(root: Path) -> Sequence[Tool[Any]]:
    """
    The tools over the repository at *root*.

    Raises:
        ConfigError: *root* is not a directory.
    """
    repository = Repository(root)
    tools: list[Tool[Any]] = [
        Tool("view_repo_tree", ViewRepoTreeArguments, repository.view_repo_tree),
        Tool("glob_files", GlobFilesArguments, repository.glob_files),
        Tool("grep_files", GrepFilesArguments, repository.grep_files),
        Tool("read_file", ReadFileArguments, repository.read_file),
        Tool("git_log", GitLogArguments, repository.git_log),
        Tool("git_show", GitShowArguments, repository.git_show),
        Tool("git_diff", GitDiffArguments, repository.git_diff),
        Tool("git_blame", GitBlameArguments, repository.git_blame),
        Tool("git_read_file", GitReadFileArguments, repository.git_read_file),
    ]
    return tools


def why_no_history(root: Path) -> str:
    """Why the git tools cannot answer about *root*; ``""`` when they can."""
    if shutil.which("git") is None:
        return "git is not installed"
    places = (root.resolve(), *root.resolve().parents)
    return "" if any((place / ".git").exists() for place in places) else "not a git work tree"


def _git_environment() -> dict[str, str]:
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "SYSTEMROOT") if key in os.environ}
    return {
        **kept,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C.UTF-8",
    }


def _ref(text: str) -> str:
    if text.startswith("-") or ":" in text or not text.strip() or "\0" in text:
        raise EngineToolError(f"cannot use `{text[:80]}` as a commit", retryable=True)
    return text


def _commit(text: str) -> str:
    """A ref that can only mean a commit: the hash of a file's content is refused."""
    return f"{_ref(text)}^{{commit}}"


def _paths(path: str | None) -> list[str]:
    if path is None:
        return []
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or _SECRET_NAME.search(path):
        raise _refused(path)
    return ["--", path]


def _refused(path: str) -> EngineToolError:
    return EngineToolError(
        f"cannot read `{path[:200]}`",
        hint="only files of the repository that are not ignored and hold no credentials; "
        "see `glob_files`",
    )


def _numbered(arguments: ReadFileArguments, raw: bytes) -> JsonObject:
    if b"\0" in raw[:_BINARY_PROBE_BYTES]:
        raise EngineToolError(f"cannot show `{arguments.path[:200]}`: binary")
    lines = raw.decode("utf-8", "replace").splitlines()
    first = arguments.offset - 1
    wanted = lines[first : first + arguments.limit]
    shown = [
        f"{number}\t{cut_text(line, _MAX_READ_LINE_CHARS)}"
        for number, line in enumerate(wanted, arguments.offset)
    ]
    content = "\n".join(shown)
    return {
        "path": arguments.path,
        "content": content[:_MAX_OUTPUT_BYTES],
        "start_line": arguments.offset,
        "end_line": first + len(wanted),
        "total_line_count": len(lines),
        "truncated": first + len(wanted) < len(lines) or len(content) > _MAX_OUTPUT_BYTES,
    }


def _glob_to_regex(pattern: str) -> str:
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.lstrip("/"))
    meanings = {"**/": r"(?:.*/)?", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}
    return "".join(meanings.get(piece, re.escape(piece)) for piece in pieces)
