"""What commands on stored traces open: the data directory, a project, a window."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halo_daemon.cli.instants import parse_instant
from halo_daemon.cli.options import load_config, said_before
from halo_daemon.cli.terminal import is_quiet, is_verbose
from halo_daemon.errors import ConfigError

if TYPE_CHECKING:
    from halo_daemon.config import Config
    from halo_daemon.store.query_engine import LocalQueries
    from halo_daemon.store.reader import LocalTraceReader
    from halo_daemon.store.trace_reader import Window

_SHOWN_TRACES = 3

ProjectOption = Annotated[
    str,
    typer.Option("--project", metavar="NAME", help="The project; needed when there are several."),
]


def data_dir(
    ctx: typer.Context, config: Path | None, data: Path | None, *, may_be_new: bool = False
) -> Path:
    """The data directory that a command works on; as `settings_of`."""
    return settings_of(ctx, config, data, may_be_new=may_be_new).data.dir


def settings_of(
    ctx: typer.Context, config: Path | None, data: Path | None, *, may_be_new: bool = False
) -> "Config":
    """
    The configuration that a command works with; logs go to stderr from here on.

    A data directory that nobody named and that is not there yet is an empty one; a named
    one is a wrong word, unless the command is one that makes it (*may_be_new*).

    Raises:
        ConfigError: The configuration is wrong, or ``--data`` names no directory.
    """
    from halo_daemon import log

    settings = load_config(ctx, config=config, data=data)
    log.configure(level=log_level(), log_format=settings.telemetry.log.format)
    if not may_be_new:
        require_named_data(ctx, data)
    return settings


def require_named_data(ctx: typer.Context, data: Path | None) -> None:
    """
    Refuse a mistyped ``--data``; what is not there must not read as "nothing happened".

    Raises:
        ConfigError: It names no directory.
    """
    named = data or said_before(ctx).data
    if named is not None and not named.is_dir():
        what = "is no directory" if named.exists() else "does not exist"
        raise ConfigError(
            f"the data directory {named} {what}",
            hint="name one with --data, or begin one with `halo-daemon serve --data DIR`",
        )


def log_level() -> str:
    """What of the log a command shows beside its output."""
    if is_verbose():
        return "info"
    return "error" if is_quiet() else "warning"


def project_slug(root: Path, name: str) -> str:
    """
    The project that was named, or the only one.

    Raises:
        UnknownProjectError: There is no such project.
        ConfigError: None was named and there is not exactly one.
    """
    from halo_daemon.store.paths import DataPaths
    from halo_daemon.store.projects import find_project

    paths = DataPaths(root)
    if name:
        return find_project(paths, name).slug
    slugs = paths.slugs()
    if len(slugs) == 1:
        return slugs[0]
    known = f": {', '.join(slugs[:10])}" if slugs else ""
    raise ConfigError(
        f"cannot choose a project: {root} has {len(slugs)}{known}",
        hint="name one with --project" if slugs else "send spans to `halo-daemon serve` first",
    )


def window_of(since: str, until: str) -> "Window":
    """The stretch of time of receipt that was asked for."""
    import time

    from halo_daemon.store.trace_reader import Window

    now = time.time_ns()
    begin = parse_instant(since, now_unix_ns=now)
    # What is stored while the command runs belongs to "now".
    end = now + 60 * 10**9 if until == "now" else parse_instant(until, now_unix_ns=now)
    if begin >= end:
        raise ConfigError(f"--since {since} is not before --until {until}", hint="swap them")
    return Window(begin, end)


@contextmanager
def open_queries(root: Path, slug: str) -> "Iterator[LocalQueries]":
    """Ask questions about one project."""
    import time

    from halo_daemon.store.query_engine import LocalQueries

    queries = LocalQueries(root, slug, now_unix_ns=time.time_ns, now_monotonic_s=time.monotonic)
    try:
        yield queries
    finally:
        queries.close()


@contextmanager
def open_reader(
    root: Path, slug: str, *, max_answer_bytes: int | None = None
) -> "Iterator[LocalTraceReader]":
    """Read the traces of one project."""
    import time

    from halo_daemon.store.reader import LocalTraceReader
    from halo_daemon.store.trace_reader import MAX_ANSWER_BYTES

    reader = LocalTraceReader(
        root,
        slug,
        settle_s=0.0,
        now_unix_ns=time.time_ns,
        max_answer_bytes=max_answer_bytes or MAX_ANSWER_BYTES,
    )
    try:
        yield reader
    finally:
        reader.close()


def whole_trace_id(root: Path, slug: str, prefix: str) -> str:
    """
    The trace whose id begins with *prefix*.

    Raises:
        ConfigError: There is none, or there are several, or *prefix* is empty.
    """
    if not prefix:
        # A script's empty variable; with one trace in the project it would name that one.
        raise ConfigError(
            "cannot find trace ``: the id is empty",
            hint="list traces with `halo-daemon trace list`",
        )
    with open_queries(root, slug) as queries:
        found = queries.find_traces(prefix, limit=_SHOWN_TRACES + 1)
    if len(found) == 1:
        return found[0]
    if not found:
        raise ConfigError(
            f"cannot find trace `{prefix[:64]}` in project `{slug}`",
            hint="list traces with `halo-daemon trace list`",
        )
    more = ", …" if len(found) > _SHOWN_TRACES else ""
    raise ConfigError(
        f"trace `{prefix[:64]}` is ambiguous: {', '.join(found[:_SHOWN_TRACES])}{more}",
        hint="write more of it",
    )
