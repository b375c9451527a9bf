"""
Pages of other tools' servers, over HTTP.

Servers limit, break off and answer nonsense: a request is tried again a bounded
number of times, as late as the server asks or after an exponential wait with full
jitter; an answer is bounded; a redirect to another host is refused, for it would
carry the key there.
"""

import asyncio
import email.utils
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx2

from halo_daemon.errors import HaloError
from halo_daemon.exchange.json_records import parse_json
from halo_daemon.proto.json_value import JsonObject

MAX_ANSWER_BYTES: Final = 64 * 1024**2
_ATTEMPTS: Final = 6
_MAX_REDIRECTS: Final = 5
_QUOTED_CHARS: Final = 200
_RETRIED: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class PullError(HaloError):
    """A server did not give what was asked for."""


class NoSuchPageError(PullError):
    """The server has no such path: it is older, or another one."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one request is worth."""

    attempts: int = _ATTEMPTS
    first_wait_s: float = 0.5
    max_wait_s: float = 30.0
    """Between attempts, unless the server asks for more."""
    max_asked_wait_s: float = 300.0
    """What a server's ``Retry-After`` is obeyed up to."""
    timeout_s: float = 60.0
    """For the answer to begin, and between its parts."""


@dataclass
class PullClient:
    """
    One server.

    Attributes:
        endpoint: Its address, ``https://host[/path]``.
        headers: Sent with each request; hold the key.
        patience: How often and how long to try.
        now_unix_ns: For ``Retry-After`` as a date.
        tell: Called with why a request has to wait, and how many seconds.
    """

    endpoint: str
    now_unix_ns: Callable[[], int]
    headers: Mapping[str, str] = field(default_factory=dict)
    patience: Patience = field(default_factory=Patience)
    tell: Callable[[str, float], None] = lambda _why, _wait_s: None

    def __post_init__(self) -> None:
        try:
            url = httpx2.URL(self.endpoint)
        except httpx2.InvalidURL as exc:
            raise PullError(f"cannot pull from {self.endpoint[:200]}: {exc}") from exc
        if url.scheme not in {"http", "https"} or not url.host:
            raise PullError(
                f"cannot pull from {self.endpoint[:200]}: not an address",
                hint="write http://localhost:6006 or https://cloud.example.com",
            )
        self._base = url
        self._client = httpx2.AsyncClient(
            headers=dict(self.headers),
            timeout=self.patience.timeout_s,
            follow_redirects=False,
        )

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def get(self, path: str, parameters: Mapping[str, str] | None = None) -> JsonObject:
        """
        Ask for one page.

        Raises:
            NoSuchPageError: The server has no such path.
            PullError: It refused, or gave no JSON object after every attempt.
        """
        return await self._ask("GET", path, parameters or {}, None)

    async def post(self, path: str, body: JsonObject) -> JsonObject:
        """Ask for one page with a body; see `get`."""
        return await self._ask("POST", path, {}, body)

    async def _ask(
        self, method: str, path: str, parameters: Mapping[str, str], body: JsonObject | None
    ) -> JsonObject:
        what = f"{method} {self._base.copy_with(query=None)}{path}"
        why = ""
        for attempt in range(self.patience.attempts):
            try:
                status, headers, data = await self._exchange(method, path, parameters, body)
            except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as exc:
                why, asked_s = f"{type(exc).__name__}: {exc}", None
            else:
                if status not in _RETRIED:
                    try:
                        return _answer(what, status, data)
                    except ValueError as exc:
                        # A page that was cut on its way may be whole the next time.
                        why, asked_s = f"an answer that is no JSON object ({exc})", None
                else:
                    why, asked_s = f"status {status}", self._asked_wait_s(headers)
            if attempt + 1 < self.patience.attempts:
                await self._wait(why, attempt, asked_s)
        raise PullError(
            f"cannot pull: {what} gave {why[:_QUOTED_CHARS]} in {self.patience.attempts} attempts",
            hint="run the same command with --resume when the server is well",
        )

    async def _wait(self, why: str, attempt: int, asked_s: float | None) -> None:
        most_s = min(self.patience.max_wait_s, self.patience.first_wait_s * 2**attempt)
        # Full jitter: whoever was refused at the same time does not come back at the same time.
        wait_s = random.uniform(0, most_s) if asked_s is None else asked_s  # noqa: S311 -- not a secret
        self.tell(why[:_QUOTED_CHARS], wait_s)
        await asyncio.sleep(wait_s)

    async def _exchange(
        self, method: str, path: str, parameters: Mapping[str, str], body: JsonObject | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        url = httpx2.URL(f"{str(self._base).rstrip('/')}{path}").copy_merge_params(dict(parameters))
        for _ in range(_MAX_REDIRECTS):
            async with self._client.stream(method, url, json=body) as response:
                if response.is_redirect:
                    url = self._redirected(url, response.headers.get("location", ""))
                    continue
                data = bytearray()
                async for part in response.aiter_bytes():
                    data += part
                    if len(data) > MAX_ANSWER_BYTES:
                        raise PullError(
                            f"cannot pull: {method} {url.copy_with(query=None)} gave more than"
                            f" {MAX_ANSWER_BYTES} bytes",
                            hint="choose a shorter window with --since and --until",
                        )
                return response.status_code, response.headers, bytes(data)
        raise PullError(f"cannot pull: {method} {path} was redirected {_MAX_REDIRECTS} times")

    def _redirected(self, url: httpx2.URL, location: str) -> httpx2.URL:
        target = url.join(location)
        if (target.scheme, target.host, target.port) != (url.scheme, url.host, url.port):
            raise PullError(
                f"cannot pull: {url.host} redirects to {target.host}, where the key must not go",
                hint=f"name that server with --endpoint {target.scheme}://{target.host}",
            )
        return target

    def _asked_wait_s(self, headers: Mapping[str, str]) -> float | None:
        """What the server asks to wait, in seconds; None when it does not say."""
        told = headers.get("retry-after", "")
        try:
            wait_s = float(told)
        except ValueError:
            moment = email.utils.parsedate_to_datetime(told) if _is_date(told) else None
            if moment is None:
                return None
            wait_s = moment.timestamp() - self.now_unix_ns() / 1e9
        return min(max(0.0, wait_s), self.patience.max_asked_wait_s)


def _is_date(told: str) -> bool:
    return email.utils.parsedate(told) is not None


def _answer(what: str, status: int, data: bytes) -> JsonObject:
    if status in {httpx2.codes.NOT_FOUND, httpx2.codes.GONE}:
        raise NoSuchPageError(f"cannot pull: {what} gave status {status}", hint="check --endpoint")
    if status in {httpx2.codes.UNAUTHORIZED, httpx2.codes.FORBIDDEN}:
        raise PullError(
            f"cannot pull: {what} gave status {status}: the key is missing or wrong",
            hint="set it in the environment; docs/howto/import-traces.md names the variables",
        )
    if not httpx2.codes.is_success(status):
        quoted = data[:_QUOTED_CHARS].decode("utf-8", "replace")
        raise PullError(f"cannot pull: {what} gave status {status}: {quoted}")
    found = parse_json(data)
    if isinstance(found, list):
        return {"data": found}
    if not isinstance(found, dict):
        raise ValueError(f"it is a {type(found).__name__}")  # noqa: TRY004 -- caught as what cannot be read
    return found
