"""
Every error halo-daemon raises on purpose.

* HaloError
  - ConfigError               the operator must edit something; nothing was started
  - IngestError               a request was not stored; ``retryable`` says whether to resend
    + DecodeError               the bytes are not OTLP
    + UnsupportedMediaError     a content type or encoding that is not spoken here
    + UnauthenticatedError      no key, or one that is not known here
    + ForbiddenError            a key of another project, or a page of another site
    + LimitError                valid, but over a stated limit; resending cannot help
    + OverloadError             full right now; the same bytes may succeed later
    + StorageUnavailableError   the disk refused; the same bytes may succeed later
    + ShuttingDownError         stopping; the same bytes may succeed after the restart
  - StoreError                the data directory is not as it was left
    + LockHeldError             another process owns the data directory
    + ShardCorruptError         a complete line does not parse (carries path and offset)
    + UnknownNameError          no project or finding of that name; the word is wrong
      - UnknownProjectError       no such project in the data directory
    + AmbiguousNameError        several go by that name; the word is too short
    + OutboxFullError           as many notifications wait as may; one more was not queued
    + QueryError                a question that cannot be answered as it was put
  - AnalysisError             a run ended without a report
    + BudgetError               steps, tokens, dollars or seconds ran out
  - DeliveryError             a notification was not accepted by its target
  - UnreachableError          the running daemon does not answer

Anything else that escapes is a bug in halo-daemon.
"""

from pathlib import Path
from typing import ClassVar


class HaloError(Exception):
    """
    The root of the tree.

    Attributes:
        hint: What the operator can do about it, printed after ``Try:``; empty
            when there is nothing to try.
    """

    hint: str

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(HaloError):
    """
    The configuration is wrong; nothing was started.

    Attributes:
        diagnostics: One ``file:line:column: key: message`` per mistake, in file
            order; a single entry when there is no position.
    """

    def __init__(self, message: str, *, hint: str = "", diagnostics: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.diagnostics = diagnostics or (message,)


class IngestError(HaloError):
    """A request was not stored."""

    retryable: ClassVar[bool] = False
    """Whether the same bytes can succeed later."""


class DecodeError(IngestError):
    """The bytes are not an OTLP export request."""


class UnsupportedMediaError(IngestError):
    """The content type or content encoding is not one that is spoken here."""


class UnauthenticatedError(IngestError):
    """The request carries no key, or one that is not known here."""


class ForbiddenError(IngestError):
    """The key is one of another project, or a browser was led here by another site."""


class LimitError(IngestError):
    """The request is over a stated limit."""


class OverloadError(IngestError):
    """Too much is waiting for the disk; the sender should back off and resend."""

    retryable: ClassVar[bool] = True


class StorageUnavailableError(IngestError):
    """The disk is full, read-only or failing; the sender should resend."""

    retryable: ClassVar[bool] = True


class ShuttingDownError(IngestError):
    """The daemon is stopping; the sender should resend."""

    retryable: ClassVar[bool] = True


class StoreError(HaloError):
    """The data directory is not as it was left."""


class LockHeldError(StoreError):
    """Another process writes to the data directory."""


class ShardCorruptError(StoreError):
    """
    A complete line of a shard does not parse.

    Attributes:
        path: The shard.
        offset: Where the line begins, in bytes of the uncompressed shard.
    """

    def __init__(self, message: str, *, path: Path, offset: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path
        self.offset = offset


class UnknownNameError(StoreError):
    """What was named is not in the data directory; nothing was done."""


class UnknownProjectError(UnknownNameError):
    """No such project in the data directory."""


class AmbiguousNameError(StoreError):
    """Several things go by that name; the word is too short."""


class OutboxFullError(StoreError):
    """As many notifications wait as may; the targets do not take them."""


class QueryError(StoreError):
    """A question that cannot be asked: a bad pattern, a field that is none, a time limit."""


class AnalysisError(HaloError):
    """A run ended without a report."""


class BudgetError(AnalysisError):
    """Steps, tokens, dollars or seconds ran out."""


class DeliveryError(HaloError):
    """A notification was not accepted by its target."""


class UnreachableError(HaloError):
    """The running daemon does not answer; the command exits 5."""
