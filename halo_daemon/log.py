"""
Logging set-up: called once by a command, then `structlog.get_logger()` anywhere.

Logs go to stderr: lines for people on a terminal, one JSON object a line
elsewhere. Attribute values never belong in a log: they hold users' prompts.
"""

import io
import logging
import sys
from typing import TextIO, cast

import structlog

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


def configure(
    *, level: str = "info", log_format: str = "auto", stream: TextIO | None = None
) -> None:
    """
    Send structlog's events to *stream*, or to what is stderr when they happen.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``; anything below is dropped.

        log_format: ``console``, ``json``, or ``auto``: console where *stream* is a terminal.

        stream: Where lines go; each is written in one call.
    """
    stream = cast("TextIO", _Stderr()) if stream is None else stream
    console = log_format == "console" or (log_format == "auto" and stream.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(
            colors=stream.isatty(),
            # The default shows local variables, and those hold prompts and keys.
            exception_formatter=structlog.dev.plain_traceback,
        )
        if console
        else structlog.processors.JSONRenderer(sort_keys=False)
    )
    exceptions = [] if console else [structlog.processors.format_exc_info]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *exceptions,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=True,
    )
