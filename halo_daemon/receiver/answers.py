"""What an error says to the sender, for both transports."""

from typing import Final

from halo_daemon.errors import IngestError
from halo_daemon.proto.otlp_response import Answer, retry_info, status_body
from halo_daemon.receiver.status import INVALID_ARGUMENT, RETRY_DELAY_S, Status

_STATUS_DETAILS_TRAILER: Final = "grpc-status-details-bin"
_RETRY_INFO_TRAILER: Final = "google.rpc.retryinfo-bin"


def told(error: Exception) -> str:
    """What the sender learns of *error*: its message and its remedy, nothing of a defect."""
    if not isinstance(error, IngestError):
        return "defect in the receiver"
    return f"{error}; {error.hint}" if error.hint else str(error)


def error_answer(status: Status, message: str) -> Answer:
    """A ``google.rpc.Status``; with RetryInfo where the sender may send again."""
    return status_body(
        status.grpc,
        message,
        retry_delay_s=RETRY_DELAY_S if status.is_retryable else None,
        bad_request=status.grpc == INVALID_ARGUMENT,
    )


def trailers(status: Status, message: str) -> tuple[tuple[str, bytes], ...]:
    """
    The trailing metadata of a gRPC error.

    The retry hint stands in both places, because senders differ in which one they read;
    an error that must not be retried has neither, because one of them alone makes it so.
    """
    details = (_STATUS_DETAILS_TRAILER, error_answer(status, message).protobuf)
    if not status.is_retryable:
        return (details,)
    return details, (_RETRY_INFO_TRAILER, retry_info(RETRY_DELAY_S))
