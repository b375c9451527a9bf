"""Canonical spans to an OTLP/HTTP endpoint, as JSON."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import cast

import httpx2
import orjson

from halo_daemon.errors import ConfigError, DeliveryError
from halo_daemon.exchange.otlp_form import request_form
from halo_daemon.proto.json_value import JsonObject

_SPANS_A_REQUEST = 512
_TIMEOUT_S = 30.0
_TRACES_PATH = "/v1/traces"


def post_spans(
    spans: Iterable[JsonObject], *, endpoint: str, headers: Mapping[str, str]
) -> tuple[int, int]:
    """
    Send *spans*, at most 512 a request; nothing is tried again.

    Args:
        spans: Canonical spans.

        endpoint: An http address; ``/v1/traces`` is added where it is missing.

        headers: Sent with every request.

    Returns:
        Spans sent, and those among them that the endpoint says it left out.

    Raises:
        ConfigError: *endpoint* is no http address.
        DeliveryError: A request was not accepted; says how many spans were before it.
    """
    if not endpoint.startswith(("http://", "https://")):
        raise ConfigError(
            f"cannot send to `{endpoint}`: not an http address",
            hint="write --endpoint http://127.0.0.1:4318",
        )
    address = endpoint.rstrip("/").removesuffix(_TRACES_PATH) + _TRACES_PATH
    sent = rejected = 0
    left = iter(spans)
    # The environment's proxies are not for spans that may stay on this machine.
    with httpx2.Client(timeout=_TIMEOUT_S, trust_env=False, headers=headers) as client:
        while part := list(islice(left, _SPANS_A_REQUEST)):
            try:
                rejected += _post(client, address, part)
            except httpx2.HTTPStatusError as exc:
                raise DeliveryError(
                    f"cannot send {len(part)} spans to {address}: "
                    f"HTTP {exc.response.status_code}; {sent} were sent",
                    hint="check the address and the headers",
                ) from exc
            except (httpx2.HTTPError, httpx2.InvalidURL) as exc:
                raise DeliveryError(
                    f"cannot send {len(part)} spans to {address}: "
                    f"{str(exc) or type(exc).__name__}; {sent} were sent",
                    hint="check that an OTLP/HTTP receiver listens there",
                ) from exc
            sent += len(part)
    return sent, rejected


def _post(client: httpx2.Client, address: str, part: list[JsonObject]) -> int:
    body = orjson.dumps(request_form(part))
    response = client.post(address, content=body, headers={"content-type": "application/json"})
    return _rejected(response.raise_for_status().content)


def _rejected(body: bytes) -> int:
    """What a partial success says; 0 where nothing is said."""
    try:
        answer = cast("JsonObject", orjson.loads(body))
        partial = cast("JsonObject", answer.get("partialSuccess") or {})
        return int(cast("str", partial.get("rejectedSpans") or 0))
    except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError):
        return 0
