"""The contract with whatever comes after a receiver."""

from collections.abc import Sequence
from typing import Protocol

from halo_daemon.proto.batch import SpanBatch


class SpanSink(Protocol):
    """Where decoded spans go."""

    async def accept(self, batches: Sequence[SpanBatch]) -> None:
        """
        Take ownership of the batches of one request.

        Returning means that every line of every batch is on stable storage
        (`fdatasync` done). A receiver answers success only after this returns,
        so returning early is data loss.

        - All or nothing per batch: a raise means that the sender must resend the
          whole request. Batches of other projects in the same request may have
          been stored; readers count a resent span once.
        - At least once: senders resend, so the same span may arrive twice.
          Readers de-duplicate on ``(trace_id, span_id)``; sinks do not.
        - An empty sequence returns at once and creates no files.
        - Safe to call from many tasks of one event loop at the same time.

        Raises:
            OverloadError: Accepting would exceed ``storage.max_pending``.
            StorageUnavailableError: The disk is full, read-only or failing.
            ShuttingDownError: The sink no longer takes spans.
        """
