"""Which answer an error gets: one table for both transports."""

from typing import Final, NamedTuple

from halo_daemon.errors import (
    DecodeError,
    ForbiddenError,
    IngestError,
    LimitError,
    OverloadError,
    ShuttingDownError,
    StorageUnavailableError,
    UnauthenticatedError,
    UnsupportedMediaError,
)

RETRY_DELAY_S: Final = 2
"""How long a sender is asked to wait, in whole seconds. Exporters give up when the wait is
longer than what is left of their own deadline, 10 s in total for some, so it stays short."""

# Numbers of google.rpc.Code, which are those of gRPC's status codes.
INVALID_ARGUMENT: Final = 3
DEADLINE_EXCEEDED: Final = 4
PERMISSION_DENIED: Final = 7
RESOURCE_EXHAUSTED: Final = 8
UNIMPLEMENTED: Final = 12
INTERNAL: Final = 13
UNAVAILABLE: Final = 14
UNAUTHENTICATED: Final = 16


class Status(NamedTuple):
    """The HTTP status, the gRPC code, and whether the sender may send the same bytes again."""

    http: int
    grpc: int
    is_retryable: bool


STATUSES: Final[dict[type[IngestError], Status]] = {
    DecodeError: Status(400, INVALID_ARGUMENT, is_retryable=False),
    UnsupportedMediaError: Status(415, UNIMPLEMENTED, is_retryable=False),
    UnauthenticatedError: Status(401, UNAUTHENTICATED, is_retryable=False),
    ForbiddenError: Status(403, PERMISSION_DENIED, is_retryable=False),
    # Never with a retry hint: on gRPC the hint alone turns "too large" into "later".
    LimitError: Status(413, RESOURCE_EXHAUSTED, is_retryable=False),
    # 503 rather than 429, which older exporters take for a refusal and drop the data.
    OverloadError: Status(503, UNAVAILABLE, is_retryable=True),
    StorageUnavailableError: Status(503, UNAVAILABLE, is_retryable=True),
    ShuttingDownError: Status(503, UNAVAILABLE, is_retryable=True),
}

DEFECT: Final = Status(500, INTERNAL, is_retryable=False)
"""The answer to an exception that nobody foresaw."""


def status_of(error: BaseException) -> Status:
    """The status for *error*: that of its nearest class in the table, else `DEFECT`."""
    for cls in type(error).__mro__:
        if cls in STATUSES:
            return STATUSES[cls]
    return DEFECT
