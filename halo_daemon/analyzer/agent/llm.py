"""
The OpenAI-compatible model: the only module that knows the `openai` package.

Theory of operation
===================

The package is used as a transport: keys, headers, TLS, connection pools. Its
retries are off and its redirects are off, so that one policy decides what is
sent and the key goes nowhere else. Streams are read as bytes and parsed here,
because a stream that ends without a finish reason, a server that ignores
``stream`` and an HTML page with status 200 all look like success to a client
that only wants events.

Rule 1: an answer is complete or it is a `ModelError`.

Rule 2: what a provider refuses is learnt once, remembered for its address and
model, and never asked of it again until the memory expires.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Literal, Protocol

import httpx2
import openai
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from halo_daemon.analyzer.agent.capabilities import Capabilities
from halo_daemon.analyzer.agent.chat_api import ChatAssembler, chat_body
from halo_daemon.analyzer.agent.errors import Action, ModelError
from halo_daemon.analyzer.agent.messages import as_object, as_text
from halo_daemon.analyzer.agent.model import ModelReply, ModelRequest, TextSink
from halo_daemon.analyzer.agent.provider_errors import (
    classify,
    error_fields,
    error_text,
    parse_body,
)
from halo_daemon.analyzer.agent.responses_api import ResponsesAssembler, responses_body
from halo_daemon.analyzer.agent.sse import MAX_EVENT_BYTES, EventParser
from halo_daemon.errors import ConfigError
from halo_daemon.proto.json_value import JsonObject

DEFAULT_BASE_URL = "https://api.openai.com/v1"
_END_MARK = "[DONE]"
_FIRST_EVENT_FACTOR = 5
"""A model may think this many idle limits long before its first event."""

_LEARNABLE = frozenset({400, 422})


class OpenAISettings(BaseModel):
    """Where a model is served and how it is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    model: str = Field(min_length=1)
    """The model's name, as the provider spells it."""

    base_url: str = DEFAULT_BASE_URL
    """Any OpenAI-compatible address, with its version prefix."""

    api_key: SecretStr = SecretStr("")
    """May be empty for servers that want none."""

    headers: dict[str, str] = Field(default_factory=dict)
    """Sent with every request."""

    api: Literal["auto", "chat", "responses"] = "auto"
    """Chat completions unless ``responses`` is asked for; a server without them falls back."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    """Left out when not set."""

    reasoning_effort: str = ""
    """Left out when empty."""

    parallel_tool_calls: bool = True
    """Whether the model may ask for several tools at once."""

    idle_timeout_s: float = Field(default=60.0, gt=0)
    """A stream without an event for this long is cut; comments are no events."""


class _Assembler(Protocol):
    @property
    def is_complete(self) -> bool: ...
    def add(self, chunk: JsonObject) -> None: ...
    def reply(self) -> ModelReply: ...


class OpenAIModel:
    """A `ChatModel` behind an OpenAI-compatible address."""

    def __init__(self, settings: OpenAISettings, capabilities: Capabilities | None = None) -> None:
        """
        Prepare a client; nothing is sent.

        Args:
            settings: Where and how.

            capabilities: What is known of the provider; updated in place.

        Raises:
            ConfigError: The default address needs a key and there is none, or the
                address is none.
        """
        key = settings.api_key.get_secret_value()
        if not key and settings.base_url.startswith(DEFAULT_BASE_URL):
            raise ConfigError(
                f"cannot ask {settings.model}: no API key",
                hint="set OPENAI_API_KEY, or `models.default.base_url` for a server without keys",
            )
        if not settings.base_url.startswith(("http://", "https://")):
            raise ConfigError(
                f"cannot ask {settings.model}: `{settings.base_url}` is not an http address",
                hint="write --base-url http://127.0.0.1:8000/v1, or `models.default.base_url`",
            )
        self._settings = settings
        self.capabilities = capabilities or Capabilities()
        self._client = openai.AsyncOpenAI(
            api_key=key or "none",
            base_url=settings.base_url,
            default_headers=settings.headers,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False),
        )

    @property
    def label(self) -> str:
        """The model's name and its address."""
        return f"{self._settings.model} at {self._settings.base_url}"

    @property
    def parameters_dropped(self) -> tuple[str, ...]:
        """Parameters that the provider refused, sorted."""
        return tuple(sorted(self.capabilities.learnt))

    async def complete(self, request: ModelRequest, *, on_text: TextSink) -> ModelReply:
        """See `ChatModel.complete`."""
        as_responses = self._settings.api == "responses" and not self.capabilities.uses_chat
        body = self._body(request, as_responses=as_responses)
        assembler = ResponsesAssembler(on_text) if as_responses else ChatAssembler(on_text)
        try:
            async with asyncio.timeout(request.timeout_s):
                await self._stream(body, assembler, as_responses=as_responses)
            return assembler.reply()
        except openai.APIStatusError as exc:
            raise self._refused(exc, body, as_responses=as_responses) from exc
        except (openai.APIConnectionError, httpx2.HTTPError, TimeoutError) as exc:
            raise _broken(exc, self.label) from exc
        except openai.OpenAIError as exc:
            raise ModelError(f"cannot complete: {exc}", action=Action.RETRY) from exc

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _body(self, request: ModelRequest, *, as_responses: bool) -> JsonObject:
        settings = self._settings
        body: JsonObject = {"model": settings.model}
        body |= responses_body(request) if as_responses else chat_body(request)
        if request.tools:
            body["parallel_tool_calls"] = settings.parallel_tool_calls
        if settings.temperature is not None:
            body["temperature"] = settings.temperature
        if settings.reasoning_effort:
            key = "reasoning" if as_responses else "reasoning_effort"
            body[key] = (
                {"effort": settings.reasoning_effort} if as_responses else settings.reasoning_effort
            )
        if request.max_output_tokens is not None:
            body[self._limit_name(as_responses=as_responses)] = request.max_output_tokens
        body["stream"] = True
        if not as_responses:
            body["stream_options"] = {"include_usage": True}
        return self.capabilities.adapt(body)

    def _limit_name(self, *, as_responses: bool) -> str:
        if as_responses:
            return "max_output_tokens"
        # The newest models of the one take only this name, most other servers only the other.
        is_openai = self._settings.base_url.startswith(DEFAULT_BASE_URL)
        return "max_completion_tokens" if is_openai else "max_tokens"

    @asynccontextmanager
    async def _response(
        self, body: JsonObject, *, as_responses: bool
    ) -> AsyncIterator[openai.AsyncAPIResponse[Any]]:
        fields: dict[str, Any] = dict(body)
        opened: AbstractAsyncContextManager[openai.AsyncAPIResponse[Any]]
        if as_responses:
            opened = self._client.responses.with_streaming_response.create(**fields)
        else:
            opened = self._client.chat.completions.with_streaming_response.create(**fields)
        async with opened as response:
            yield response

    async def _stream(self, body: JsonObject, assembler: _Assembler, *, as_responses: bool) -> None:
        idle_s = self._settings.idle_timeout_s
        loop = asyncio.get_running_loop()
        async with (
            asyncio.timeout(idle_s * _FIRST_EVENT_FACTOR) as life,
            self._response(body, as_responses=as_responses) as response,
        ):
            pieces = response.iter_bytes()
            if "event-stream" not in response.headers.get("content-type", "event-stream"):
                assembler.add(_plain_object(await _read_all(pieces)))
                return
            parser = EventParser()
            try:
                async for piece in pieces:
                    for data in parser.feed(piece):
                        life.reschedule(loop.time() + idle_s)
                        if data.strip() == _END_MARK:
                            return
                        assembler.add(_event_object(data))
                for data in parser.finish():
                    if data.strip() != _END_MARK:
                        assembler.add(_event_object(data))
            except (openai.APIConnectionError, httpx2.HTTPError):
                # A cut after the finish reason costs nothing.
                if not assembler.is_complete:
                    raise
        if not assembler.is_complete:
            raise ModelError("cannot use a stream that ended early", action=Action.RETRY)

    def _refused(
        self, exc: openai.APIStatusError, body: JsonObject, *, as_responses: bool
    ) -> ModelError:
        parsed = parse_body(exc.response.content[:MAX_EVENT_BYTES])
        status = exc.status_code
        headers = {name.lower(): value for name, value in exc.response.headers.items()}
        error = classify(status, parsed, headers)
        if as_responses and status in {404, 405} and self.capabilities.learn_chat_only():
            return ModelError(str(error), action=Action.RETRY_NOW)
        if error.reason == "model_or_route_not_found":
            return ModelError(
                f"cannot find {self.label}: HTTP {status}",
                action=Action.STOP,
                reason=error.reason,
                hint="check `models.default.model` and `models.default.base_url`",
            )
        is_open = status in _LEARNABLE and error.reason == "bad_request"
        param = as_text(error_fields(parsed).get("param"))
        if is_open and self.capabilities.learn(error_text(parsed), param, body):
            return ModelError(str(error), action=Action.RETRY_NOW, reason="bad_request")
        has_code = bool(error_fields(parsed).get("code")) or bool(param)
        if is_open and not has_code and error.action is Action.STOP:
            return ModelError(str(error), action=Action.RETRY_ONCE, reason="bad_request")
        return error


async def _read_all(pieces: AsyncIterator[bytes]) -> bytes:
    body = b""
    async for piece in pieces:
        body += piece
        if len(body) > MAX_EVENT_BYTES:
            raise ModelError(
                f"cannot read an answer of more than {MAX_EVENT_BYTES} bytes", action=Action.RETRY
            )
    return body


def _plain_object(raw: bytes) -> JsonObject:
    fields = as_object(parse_body(raw))
    if "error" in fields:
        raise classify(None, fields, {})
    if not (fields.get("choices") or fields.get("object") == "response"):
        raise ModelError(
            f"cannot use {len(raw)} bytes that are not a completion", action=Action.RETRY
        )
    return fields


def _event_object(data: str) -> JsonObject:
    try:
        # Not orjson: a character may be cut into surrogates between two events.
        fields = as_object(json.loads(data))
    except (ValueError, RecursionError) as exc:
        raise ModelError("cannot read an event that is not JSON", action=Action.RETRY) from exc
    if fields.get("error") and not fields.get("choices"):
        raise classify(None, fields, {})
    return fields


def _broken(exc: BaseException, label: str) -> ModelError:
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ModelError(
                f"cannot trust {label}: {cause.verify_message}",
                action=Action.STOP,
                hint="install the certificate authority, or correct `models.default.base_url`",
            )
        cause = cause.__cause__ or cause.__context__
    kind = (
        "no answer in time"
        if isinstance(exc, (TimeoutError, openai.APITimeoutError))
        else "the connection failed"
    )
    return ModelError(
        f"cannot complete with {label}: {kind}",
        action=Action.RETRY,
        hint="check `models.default.base_url` (`--base-url`), and that a server listens there",
    )
