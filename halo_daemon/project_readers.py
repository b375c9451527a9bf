"""What reads the traces of one project, as the configuration has it."""

import time
from collections.abc import Callable

from halo_daemon.config import Config
from halo_daemon.store.query_engine import LocalQueries
from halo_daemon.store.reader import LocalTraceReader


def reader_of(
    config: Config, slug: str, *, now_unix_ns: Callable[[], int] = time.time_ns
) -> LocalTraceReader:
    """
    Whole traces; to be closed.

    Raises:
        UnknownProjectError: There is no such project.
    """
    return LocalTraceReader(
        config.data.dir,
        slug,
        settle_s=config.analysis.settle_s,
        now_unix_ns=now_unix_ns,
        max_answer_bytes=config.storage.max_answer_bytes,
    )


def queries_of(config: Config, slug: str) -> LocalQueries:
    """
    Answers from the index; to be closed.

    Raises:
        UnknownProjectError: There is no such project.
    """
    return LocalQueries(
        config.data.dir, slug, now_unix_ns=time.time_ns, now_monotonic_s=time.monotonic
    )
