"""
Webhooks after the Standard Webhooks specification.

The host is resolved once per attempt, every address is checked, and the
connection goes to a checked address and no other, so a second answer of the
resolver changes nothing. Redirects are failures. What the target answers is not
read.
"""

import asyncio
import base64
import hashlib
import hmac
import math
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from urllib.parse import urlsplit

import httpx2

from halo_daemon import __version__
from halo_daemon.config_checks import signing_key
from halo_daemon.config_notify import WebhookTarget
from halo_daemon.notify.addresses import refusal
from halo_daemon.notify.message import Message, Outcome, Verdict

TIMEOUT_S = 15.0
_NANOS = 10**9
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_ADDRESSES = 4

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


def signature(key: bytes, *, message_id: str, timestamp: int, body: bytes) -> str:
    """Sign one attempt: ``v1,`` and base64 of HMAC-SHA256 over id, Unix seconds and body."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def retry_after_s(text: str, *, now_unix_ns: int) -> float:
    """Read a ``Retry-After`` header, seconds or a date; 0 for what is neither, or over."""
    try:
        if text.strip().isdecimal():
            seconds = float(text)
        else:
            moment = parsedate_to_datetime(text)
            # A date without a zone is meant in UTC.
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            now = datetime.fromtimestamp(now_unix_ns / _NANOS, UTC)
            seconds = (moment - now).total_seconds()
    except (ValueError, OverflowError):
        return 0.0
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0


class Webhook:
    """
    A `Notifier` that posts signed JSON to one URL.

    Args:
        settings: The target as configured.

        now_unix_ns: The wall clock; its seconds go into the signature.

        timeout_s: How long one attempt may take, resolving included.

        resolve: Host and port to addresses; the system's resolver where None.

        tls: Whom to trust; the system's certificates where None.
    """

    def __init__(
        self,
        settings: WebhookTarget,
        *,
        now_unix_ns: Callable[[], int],
        timeout_s: float = TIMEOUT_S,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url = settings.url
        self._block_private = settings.block_private
        self._key = signing_key(settings.secret.get_secret_value())
        self._now_unix_ns = now_unix_ns
        self._timeout_s = timeout_s
        self._resolve = resolve or _system_resolve
        self._given_tls = tls

    async def deliver(self, message: Message) -> Outcome:
        """Try once, within the timeout."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._post_to_any(message)
        except TimeoutError:
            return Outcome(Verdict.FAILED, f"no answer within {self._timeout_s:g} s")
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError) as exc:
            return Outcome(Verdict.FAILED, _reason(exc))

    async def _post_to_any(self, message: Message) -> Outcome:
        parts = urlsplit(self._url)
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
        addresses = (await self._resolve(parts.hostname or "", port))[:_MAX_ADDRESSES]
        if not addresses:
            return Outcome(Verdict.FAILED, f"{parts.hostname} has no address")
        for address in addresses:
            refused = refusal(address, block_private=self._block_private)
            if refused:
                return Outcome(Verdict.FAILED, f"{address} is {refused}, which is never called")
        for address in addresses[:-1]:
            try:
                return await self._post(message, address)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue
        return await self._post(message, addresses[-1])

    async def _post(self, message: Message, address: str) -> Outcome:
        parts = urlsplit(self._url)
        now_unix_ns = self._now_unix_ns()
        timestamp = now_unix_ns // _NANOS
        sent = signature(
            self._key, message_id=message.message_id, timestamp=timestamp, body=message.body
        )
        async with (
            httpx2.AsyncClient(
                verify=self._tls, trust_env=False, timeout=self._timeout_s, follow_redirects=False
            ) as client,
            client.stream(
                "POST",
                httpx2.URL(self._url).copy_with(host=address),
                content=message.body,
                headers={
                    "host": parts.netloc,
                    "content-type": "application/json",
                    "user-agent": f"halo-daemon/{__version__}",
                    "webhook-id": message.message_id,
                    "webhook-timestamp": str(timestamp),
                    "webhook-signature": sent,
                },
                extensions={"sni_hostname": parts.hostname},
            ) as response,
        ):
            asked_s = retry_after_s(
                response.headers.get("retry-after", ""), now_unix_ns=now_unix_ns
            )
            return _outcome(response.status_code, asked_s)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._given_tls or ssl.create_default_context()


async def _system_resolve(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _outcome(status: int, asked_s: float) -> Outcome:
    if httpx2.codes.is_success(status):
        return Outcome(Verdict.ACCEPTED)
    if status == httpx2.codes.GONE:
        return Outcome(Verdict.GONE, "status 410")
    return Outcome(Verdict.FAILED, f"status {status}", asked_s)


def _reason(exc: Exception) -> str:
    # The URL may hold a token, so the text of the exception is not repeated as it is.
    return (
        type(exc).__name__ if isinstance(exc, httpx2.InvalidURL) else f"{type(exc).__name__}: {exc}"
    )
