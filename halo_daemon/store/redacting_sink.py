"""A sink before another: what must not be stored is taken out of spans first."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import cast

import orjson

from halo_daemon.config import RedactionConfig
from halo_daemon.proto.batch import SpanBatch
from halo_daemon.proto.json_value import JsonObject
from halo_daemon.proto.redact import hashed_as
from halo_daemon.proto.redact_line import Redaction, masked, without_secrets
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.redaction_key import redaction_key

Accept = Callable[[Sequence[SpanBatch]], Awaitable[None]]
"""The sink behind: `SpanSink.accept`."""


class RedactingSink:
    """
    Redacts batches and hands them on; keeps the promises of the sink behind it.

    The work is done in a thread, because text of prompts is long.
    """

    def __init__(self, accept: Accept, redaction: Redaction) -> None:
        self._accept = accept
        self._redaction = redaction

    async def accept(self, batches: Sequence[SpanBatch]) -> None:
        """Store the batches of one request without what is to be taken out; as `SpanSink.accept`."""
        if not batches:
            return
        await self._accept(await asyncio.to_thread(self._redacted, batches))

    def _redacted(self, batches: Sequence[SpanBatch]) -> list[SpanBatch]:
        return [batch._replace(lines=b"".join(map(self._line, _lines(batch)))) for batch in batches]

    def _line(self, line: bytes) -> bytes:
        fields = cast("JsonObject", orjson.loads(line))
        kept = self._redaction.line(fields)
        return line if kept == fields else orjson.dumps(kept, option=orjson.OPT_APPEND_NEWLINE)


def _lines(batch: SpanBatch) -> list[bytes]:
    # Cut at newlines only: text of strangers holds other line ends.
    return [line + b"\n" for line in bytes(batch.lines).split(b"\n")[:-1]]


def redaction_of(settings: RedactionConfig, paths: DataPaths) -> Redaction:
    """
    What the configuration says is taken out.

    Raises:
        StoreError: Secrets are to be hashed, and their key cannot be read or made.
    """
    return Redaction(
        secrets=_secrets_out(settings, paths),
        dropped=settings.drop_attributes,
        allowed=settings.allow,
    )


def _secrets_out(
    settings: RedactionConfig, paths: DataPaths
) -> Callable[[JsonObject], JsonObject] | None:
    match settings.secrets:
        case "keep":
            return None
        case "mask":
            return masked
        case "hash":
            return partial(masked, mark=partial(hashed_as, redaction_key(paths.redaction_key)))
        case "drop":
            return without_secrets
