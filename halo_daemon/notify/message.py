"""A message on its way to a target, and the seam to the targets."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """
    One event for one target.

    Attributes:
        message_id: The receiver's key against duplicates; the same over all attempts.

        body: JSON, to be sent byte for byte.

        attempts: How often it was tried so far.

        due_unix_ns: Not to be tried before.

        subject: Messages of one subject to one target are delivered in the order in which
            they were created; empty where the order does not matter.
    """

    message_id: str
    target: str
    body: bytes
    created_unix_ns: int
    due_unix_ns: int
    attempts: int = 0
    subject: str = ""


class Verdict(StrEnum):
    """How an attempt ended."""

    ACCEPTED = "accepted"
    FAILED = "failed"
    GONE = "gone"
    """The target said that it will never take anything again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    The end of one attempt.

    Attributes:
        reason: For the log, without secrets; empty when accepted.

        retry_after_s: How long the target asked to be left alone; 0 when it did not.
    """

    verdict: Verdict
    reason: str = ""
    retry_after_s: float = 0.0


class Notifier(Protocol):
    """
    Delivers messages to one target.

    - An attempt ends within a bounded time and never raises for what the target does.
    - `Verdict.ACCEPTED` means that the target has the message.
    - The same message may be delivered more than once.
    """

    async def deliver(self, message: Message) -> Outcome:
        """Try once."""
