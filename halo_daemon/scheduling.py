"""Runs on schedule: the scheduler wired to analyses in child processes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from halo_daemon.config import Config


@asynccontextmanager
async def scheduled_analyses(config: Config, *, config_path: Path | None) -> AsyncIterator[None]:
    """Run the configured analyses while the block runs."""
    yield
