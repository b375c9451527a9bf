"""
Logging: set up once by a command, then `get_logger()` anywhere.

structlog is loaded, and set up as was asked, at the first event: it brings rich and
asyncio, a good part of what a short command or a process of the miner takes to start,
and most of those have nothing to say. Logs go to stderr: lines for people on a terminal,
one JSON object a line elsewhere. Attribute values never belong in a log: they hold
users' prompts.
"""

import io
import logging
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO, cast

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger, Processor

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class _Stderr(io.TextIOBase):
    """What is stderr at the time of writing: whoever replaces it gets the events."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()


class _Setup(NamedTuple):
    level: int
    is_console: bool
    stream: TextIO

    def apply(self) -> None:
        import structlog  # noqa: PLC0415 -- see the top

        renderer: Processor = (
            structlog.dev.ConsoleRenderer(
                colors=self.stream.isatty(),
                # The default shows local variables, and those hold prompts and keys.
                exception_formatter=structlog.dev.plain_traceback,
            )
            if self.is_console
            else structlog.processors.JSONRenderer(sort_keys=False)
        )
        exceptions = [] if self.is_console else [structlog.processors.format_exc_info]
        structlog.configure(
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                *exceptions,
                renderer,
            ],
            wrapper_class=structlog.make_filtering_bound_logger(self.level),
            logger_factory=structlog.WriteLoggerFactory(file=self.stream),
            cache_logger_on_first_use=True,
        )


_asked: list[_Setup] = []
"""The last set-up that was asked for, until structlog is loaded; at most one."""


def configure(
    *, level: str = "info", log_format: str = "auto", stream: TextIO | None = None
) -> None:
    """
    Send events to *stream*, or to what is stderr when they happen.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``; anything below is dropped.

        log_format: ``console``, ``json``, or ``auto``: console where *stream* is a terminal.

        stream: Where lines go; each is written in one call.
    """
    stream = cast("TextIO", _Stderr()) if stream is None else stream
    is_console = log_format == "console" or (log_format == "auto" and stream.isatty())
    _asked[:] = [_Setup(_LEVELS[level], is_console, stream)]
    if "structlog" in sys.modules:
        _asked.pop().apply()


class _Logger:
    """Passes on to structlog's logger, which is loaded when it is first asked for."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    @cached_property
    def _real(self) -> "FilteringBoundLogger":
        import structlog  # noqa: PLC0415 -- see the top

        while _asked:
            _asked.pop().apply()
        return cast("FilteringBoundLogger", structlog.get_logger())


def get_logger() -> "FilteringBoundLogger":
    """A logger of a module; cheap, and may be called before `configure`."""
    return cast("FilteringBoundLogger", _Logger())
