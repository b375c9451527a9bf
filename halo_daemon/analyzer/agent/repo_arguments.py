"""The arguments of HALO's tools over a repository."""

from pydantic import Field, model_validator

from halo_daemon.analyzer.agent.arguments import ToolArguments


class ViewRepoTreeArguments(ToolArguments):
    """Show the repository's files as a tree, four levels deep."""


class GlobFilesArguments(ToolArguments):
    """List the repository's files whose path matches a glob pattern, such as `src/**/*.py`."""

    pattern: str
    max_results: int = Field(default=200, ge=1, le=1_000)


class GrepFilesArguments(ToolArguments):
    """Find an RE2 pattern in the repository's files, line by line."""

    regex_pattern: str
    glob_pattern: str | None = None
    max_matches: int = Field(default=50, ge=1, le=500)


class ReadFileArguments(ToolArguments):
    """Read a file of the repository, with line numbers."""

    path: str
    offset: int = Field(default=1, ge=1)
    """First line."""

    limit: int = Field(default=500, ge=1, le=2_000)
    """Lines."""


class GitLogArguments(ToolArguments):
    """List commits, the newest first."""

    max_commits: int = Field(default=50, ge=1, le=500)
    since: str | None = None
    until: str | None = None
    ref_range: str | None = None
    path: str | None = None
    pickaxe_string: str | None = None
    """Commits that change how often this text occurs."""

    pickaxe_regex: str | None = None

    @model_validator(mode="after")
    def _one_pickaxe(self) -> "GitLogArguments":
        if self.pickaxe_string is not None and self.pickaxe_regex is not None:
            raise ValueError("give at most one of `pickaxe_string` and `pickaxe_regex`")
        return self


class GitShowArguments(ToolArguments):
    """Show a commit, with its changes when asked for."""

    ref: str
    path: str | None = None
    include_patch: bool = False


class GitDiffArguments(ToolArguments):
    """Compare two commits."""

    from_ref: str
    to_ref: str
    path: str | None = None
    stat_only: bool = True


class GitBlameArguments(ToolArguments):
    """Who last changed each of some lines."""

    path: str
    start_line: int = Field(ge=1)
    end_line: int = Field(ge=1)
    ref: str | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "GitBlameArguments":
        if not self.start_line <= self.end_line < self.start_line + 2_000:
            raise ValueError("`end_line` is not before `start_line`, at most 2,000 lines")
        return self


class GitReadFileArguments(ReadFileArguments):
    """Read a file as it was in a commit."""

    ref: str
