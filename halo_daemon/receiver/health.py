"""
Health: over HTTP for orchestrators, over gRPC as ``grpc.health.v1``.

Liveness says that the process answers. Readiness says that it can take spans now.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

import orjson

from halo_daemon.receiver.asgi import Response

Problems = Callable[[], Sequence[str]]
"""Why spans cannot be taken now; empty when they can."""

GRPC_SERVICE: Final = "grpc.health.v1.Health"

_JSON: Final = "application/json"
_WATCH_INTERVAL_S: Final = 1.0

# HealthCheckResponse: field 1, an enum; the message has no other field.
_SERVING: Final = b"\x08\x01"
_NOT_SERVING: Final = b"\x08\x02"
SERVICE_UNKNOWN: Final = b"\x08\x03"
"""What a watcher of a service that is not served is told."""
_SERVICE_TAG: Final = 0x0A
_PREFIX_BYTES: Final = 2


def live() -> Response:
    """The answer of ``/healthz``."""
    return Response(200, orjson.dumps({"status": "ok"}), _JSON)


def ready(problems: Problems) -> Response:
    """The answer of ``/readyz``: 503 with the reasons while there are any."""
    found = list(problems())
    content = {"status": "unavailable" if found else "ok", "problems": found}
    return Response(503 if found else 200, orjson.dumps(content), _JSON)


def asked_service(request: bytes) -> str | None:
    """
    The service that a serialised ``HealthCheckRequest`` asks about; ``""`` is the server.

    None when *request* is no such message. Names of 128 bytes or more count as none.
    """
    if not request:
        return ""
    length = request[1] if len(request) >= _PREFIX_BYTES else -1
    if request[0] != _SERVICE_TAG or length != len(request) - _PREFIX_BYTES:
        return None
    return request[_PREFIX_BYTES:].decode("utf-8", "replace")


def serving_status(problems: Problems) -> bytes:
    """A serialised ``HealthCheckResponse``."""
    return _NOT_SERVING if problems() else _SERVING


async def watch_status(problems: Problems) -> AsyncIterator[bytes]:
    """The status now and each time it changes, until the caller stops asking."""
    said = b""
    while True:
        status = serving_status(problems)
        if status != said:
            said = status
            yield status
        await asyncio.sleep(_WATCH_INTERVAL_S)
