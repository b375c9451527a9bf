"""
The border of the process: what ends it, and with which status.

Errors on purpose are told with their remedy. What the operating system refuses is told in
a line. Anything else is a bug: its traceback goes to a file, and the message says where to
send it. A reader of stdout that goes away, as `head` does, ends the process as it ends
other tools: by SIGPIPE, without a word.
"""

import os
import select
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from halo_daemon import __version__
from halo_daemon.cli import exit_codes
from halo_daemon.cli.output import print_error, print_error_json
from halo_daemon.cli.terminal import is_verbose
from halo_daemon.cli.usage import Verbs, usage_errors_told
from halo_daemon.errors import (
    AmbiguousNameError,
    ConfigError,
    HaloError,
    QueryError,
    UnknownNameError,
    UnreachableError,
)

# A project or finding that is not there, or a pattern that is none, is a wrong word on the
# command line, as an unknown trace, file or flag is.
_WRONG_WORDS = (ConfigError, UnknownNameError, AmbiguousNameError, QueryError)


class Commands(Verbs):
    """The commands: a broken pipe behind stdout is no failure of theirs, a wrong word is ours."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """As in the base, which prints help and version here."""
        with _ending_with_its_reader(), usage_errors_told():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run the command and bring out what it printed."""
        with _ending_with_its_reader(), usage_errors_told():
            return super().invoke(ctx)


@contextmanager
def _ending_with_its_reader() -> Iterator[None]:
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # A connection that broke looks alike.
        if _has_lost_its_reader(sys.stdout.fileno()):
            _end_by_sigpipe()
        raise


def _has_lost_its_reader(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def _end_by_sigpipe() -> None:
    # What is still in the buffer has no reader; flushing it at exit would complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)


@contextmanager
def border(*, as_json: bool) -> Iterator[None]:
    """Turn what the block raises into a message on stderr and an exit status."""
    show = print_error_json if as_json else print_error
    try:
        yield
    except HaloError as exc:
        if is_verbose():
            traceback.print_exc()
        show(exc)
        sys.exit(_status_of(exc))
    except KeyboardInterrupt:
        sys.exit(exit_codes.INTERRUPTED)
    except OSError as exc:
        if is_verbose():
            traceback.print_exc()
        show(_refused(exc))
        sys.exit(exit_codes.FAILED)
    except Exception as exc:  # noqa: BLE001 -- the last border
        if is_verbose():
            traceback.print_exc()
        show(_bug(exc))
        sys.exit(exit_codes.FAILED)


def _status_of(exc: HaloError) -> int:
    if isinstance(exc, _WRONG_WORDS):
        return exit_codes.USAGE
    return exit_codes.UNREACHABLE if isinstance(exc, UnreachableError) else exit_codes.FAILED


def _refused(exc: OSError) -> HaloError:
    place = f"{os.fsdecode(exc.filename)}: " if exc.filename else ""
    return HaloError(
        f"cannot go on: {place}{exc.strerror or exc}",
        hint="check that it exists and who may read and write it; -v shows where it happened",
    )


def _bug(exc: Exception) -> HaloError:
    trace = "".join(traceback.format_exception(exc))
    try:
        fd, path = tempfile.mkstemp(prefix="halo-daemon-bug-", suffix=".txt")
        with os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"halo-daemon {__version__}, Python {sys.version}\n\n{trace}")
    except OSError:
        print(trace, file=sys.stderr)
        path = "the lines above"
    first = str(exc).partition("\n")[0][:200]
    return HaloError(
        f"a bug in halo-daemon: {type(exc).__name__}: {first}",
        hint=f"open an issue where halo-daemon came from, with {path}",
    )
