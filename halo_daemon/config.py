"""
The configuration: frozen values, every one with a unit, a default and a sentence.

A field's name in code carries its unit, its alias is the key of the file; the
sentence under a field is its reference documentation. Unknown keys are errors.
Where values come from is the business of `halo_daemon.config_file`.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from halo_daemon.quantities import ENDPOINT, Endpoint, duration, quoted, size

KIB, MIB = 2**10, 2**20
MINUTE_S, HOUR_S, DAY_S = 60.0, 3_600.0, 86_400.0

# grpcio keeps a message's length in a signed 32-bit integer.
_MAX_MESSAGE_BYTES = 2**31 - 1
_MAX_CRON_CHARACTERS = 200
_CRON_FIELDS = 5
_CRON_WORDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_ANY_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_SECRET_PREFIX = "whsec_"  # noqa: S105 -- how every such secret begins, not a secret
_MIN_SECRET_BYTES, _MAX_SECRET_BYTES = 24, 64


def five_field_cron(expression: str) -> str:
    """Spell out ``@daily`` and its kin; other expressions come back as they are."""
    return _CRON_WORDS.get(expression.lower(), expression)


def signing_key(secret: str) -> bytes:
    """
    The key inside a Standard Webhooks secret, ``whsec_`` and base64 of 24 to 64 bytes.

    Raises:
        ValueError: it is none; the message does not repeat it.
    """
    encoded = secret.removeprefix(_SECRET_PREFIX)
    try:
        key = b"" if encoded == secret else base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if not key:
        raise ValueError("the secret is not `whsec_` and base64")
    if not _MIN_SECRET_BYTES <= len(key) <= _MAX_SECRET_BYTES:
        raise ValueError(
            f"the secret holds {len(key)} bytes, not {_MIN_SECRET_BYTES} to {_MAX_SECRET_BYTES}"
        )
    return key


def _checked_cron(text: str) -> str:
    expression = five_field_cron(text)
    if len(expression) > _MAX_CRON_CHARACTERS or len(expression.split()) != _CRON_FIELDS:
        raise ValueError(f"{quoted(text)} is not a cron expression – write for example 0 3 * * *")
    try:
        next(CronSim(expression, _ANY_MOMENT))
    except (CronSimError, ValueError) as exc:
        reason = str(exc).lower() if isinstance(exc, CronSimError) else "a number is too large"
        raise ValueError(f"{quoted(text)} is not a cron expression: {reason}") from exc
    except StopIteration:
        raise ValueError(f"{quoted(text)} never fires") from None
    return text


def _checked_time_zone(name: str) -> str:
    # These two are always there, also on a machine without a zone database.
    if name in {"local", "UTC"}:
        return name
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"{quoted(name)} is not a time zone – write for example UTC, local or Europe/Berlin"
        ) from None
    return name


def _checked_name(text: str) -> str:
    if _NAME.fullmatch(text) is None:
        raise ValueError(f"{quoted(text)} is not a name of letters, digits, `.`, `_`, `-`")
    return text


def _checked_header(text: str) -> str:
    if _HEADER.fullmatch(text) is None:
        raise ValueError(f"{quoted(text)} is not a header's name")
    return text.lower()


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text


def _path_text(value: object) -> object:
    if isinstance(value, str) and (not value.strip() or "\0" in value):
        raise ValueError(f"{quoted(value)} is not a path")
    return value


def _checked_secret(secret: SecretStr) -> SecretStr:
    signing_key(secret.get_secret_value())
    return secret


def is_loopback(host: str) -> bool:
    """Whether *host* names this machine without asking a resolver."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _checked_url(text: str) -> str:
    if not text.isascii() or re.search(r"[\x00-\x20\x7f\\]", text):
        raise ValueError("the URL holds spaces, control or other than ASCII characters")
    try:
        parts = urlsplit(text)
        has_user = parts.username is not None or parts.password is not None
        is_web = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError("is not a URL") from None
    if has_user:
        raise ValueError("a URL with user or password is refused")
    if not is_web:
        raise ValueError("is not an http or https URL with a host")
    return text


Name = Annotated[str, AfterValidator(_checked_name)]


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        validate_by_name=True,
        validate_by_alias=True,
    )


class DataConfig(_Section):
    """Where everything is kept."""

    dir: Annotated[Path, Field(strict=False), BeforeValidator(_path_text)] = Path(
        "~/.local/state/halo-daemon"
    )
    """Shards, indexes, reports and outbox; one daemon per directory. As a service, the state
    directory that systemd gives; else `$XDG_STATE_HOME/halo-daemon` where that is set."""


class GrpcConfig(_Section):
    """OTLP over gRPC."""

    endpoint: Annotated[Endpoint, ENDPOINT] = Endpoint("127.0.0.1", 4317)
    """Address to bind; port 0 takes a free one and logs it."""

    max_message_bytes: Annotated[int, size(most=_MAX_MESSAGE_BYTES)] = Field(
        default=64 * MIB, alias="max_message"
    )
    """Largest request, before and after decompression."""


class HttpConfig(_Section):
    """OTLP over HTTP."""

    endpoint: Annotated[Endpoint, ENDPOINT] = Endpoint("127.0.0.1", 4318)
    """Address to bind; port 0 takes a free one and logs it."""

    max_body_bytes: Annotated[int, size(most=_MAX_MESSAGE_BYTES)] = Field(
        default=64 * MIB, alias="max_body"
    )
    """Largest request body as it comes over the wire."""

    max_decompressed_bytes: Annotated[int, size(most=_MAX_MESSAGE_BYTES)] = Field(
        default=64 * MIB, alias="max_decompressed"
    )
    """Largest request body after decompression."""


class OtlpConfig(_Section):
    """The OpenTelemetry protocol."""

    grpc: GrpcConfig = GrpcConfig()
    http: HttpConfig = HttpConfig()


class ReceiversConfig(_Section):
    """Where spans come in."""

    otlp: OtlpConfig = OtlpConfig()

    max_spans_per_request: int = Field(default=50_000, ge=1, le=10_000_000)
    """Spans accepted in one request; more are refused as a whole."""

    max_concurrent_requests: int = Field(default=64, ge=1, le=100_000)
    """Requests in work at a time; those beyond are told to resend later."""


class RouteRule(_Section):
    """One place where a project's name may stand: exactly one of the two keys."""

    header: Annotated[str, AfterValidator(_checked_header)] | None = None
    """A request header, or key of gRPC metadata."""

    resource: Annotated[str, AfterValidator(_not_blank)] | None = None
    """A resource attribute."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.header is None) == (self.resource is None):
            raise ValueError("write either `header` or `resource`")
        return self


class ProjectsConfig(_Section):
    """Which project a span belongs to."""

    route_by: tuple[RouteRule, ...] = (
        RouteRule(header="x-project-name"),
        RouteRule(resource="openinference.project.name"),
        RouteRule(resource="service.name"),
    )
    """Where the project's name is looked up; the first that is there wins."""

    default: Annotated[str, AfterValidator(_not_blank)] = "default"
    """The project of spans that name none."""

    max_auto_created: int = Field(default=100, ge=0, le=100_000)
    """Projects created on first sight; spans of later ones go to the default project."""


class ShardConfig(_Section):
    """The append-only files that hold spans."""

    max_size_bytes: Annotated[int, size(least=KIB)] = Field(default=64 * MIB, alias="max_size")
    """A shard of this size is sealed and a new one begun."""

    max_age_s: Annotated[float, duration(least=1.0)] = Field(default=HOUR_S, alias="max_age")
    """A shard of this age is sealed and a new one begun."""


class StorageConfig(_Section):
    """How spans are kept."""

    shard: ShardConfig = ShardConfig()

    max_pending_bytes: Annotated[int, size(least=MIB)] = Field(
        default=256 * MIB, alias="max_pending"
    )
    """Bytes that may wait for the disk; requests beyond are told to resend later."""

    min_free_bytes: Annotated[int, size(least=0)] = Field(default=256 * MIB, alias="min_free")
    """Free space that is left on the disk; below it requests are told to resend later."""


class ScheduleEntry(_Section):
    """One analysis that comes back."""

    name: Name = "nightly"
    """What the entry is called in logs and reports; no two are alike."""

    cron: Annotated[str, AfterValidator(_checked_cron)] = "0 3 * * *"
    """Five fields, or `@daily` and its kin; Monday is 1, names such as `mon-fri` are read."""

    timezone: Annotated[str, AfterValidator(_checked_time_zone)] = "local"
    """The zone the expression is meant in: `local`, `UTC` or a name such as `Europe/Berlin`."""

    since_s: Annotated[
        float | Literal["last_run"], duration(least=MINUTE_S, words=("last_run",))
    ] = Field(default=DAY_S, alias="since")
    """How far back the analysis looks; `last_run` begins where the last completed run ended."""

    engine: Literal["builtin"] = "builtin"
    """What finds failures: `builtin` needs no model and no key."""

    projects: tuple[Annotated[str, AfterValidator(_not_blank)], ...] = ("*",)
    """The projects to analyse, as patterns with `*` and `?`."""


class AnalysisConfig(_Section):
    """When and how failures are looked for."""

    schedule: tuple[ScheduleEntry, ...] = (ScheduleEntry(),)
    """The analyses that come back; an empty list switches them off."""

    settle_s: Annotated[float, duration()] = Field(default=2 * MINUTE_S, alias="settle")
    """A trace without an end counts as open until it has been quiet this long."""

    wall_s: Annotated[float, duration(least=1.0)] = Field(default=15 * MINUTE_S, alias="wall")
    """Time one run may take before it is stopped."""


class WebhookTarget(_Section):
    """A URL that takes signed JSON (Standard Webhooks)."""

    type: Literal["webhook"]
    """The kind of target."""

    url: Annotated[str, AfterValidator(_checked_url)]
    """Where to post; `https` unless the host is this machine or `allow_http` is set."""

    secret: Annotated[SecretStr, Field(strict=False), AfterValidator(_checked_secret)]
    """The key of the signature: `whsec_` and base64 of 24 to 64 random bytes."""

    allow_http: bool = False
    """Whether `http` may be used to another machine."""

    block_private: bool = False
    """Whether private and loopback addresses are refused."""

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme == "http" and not self.allow_http and not is_loopback(parts.hostname or ""):
            raise ValueError(
                "`url` is http to another machine – write https, or `allow_http: true`"
            )
        return self


class NotifyRoute(_Section):
    """Which events go where."""

    to: tuple[str, ...] = Field(min_length=1)
    """Names of targets."""

    when: tuple[Literal["report"], ...] = Field(default=("report",), min_length=1)
    """Kinds of event: `report` is every report, also an empty one."""


class NotifyConfig(_Section):
    """Who is told."""

    targets: Mapping[Name, WebhookTarget] = Field(default_factory=dict)
    """Where notifications can go, by name."""

    routes: tuple[NotifyRoute, ...] = ()
    """Which events go to which targets; the first route for an event's kind takes it."""


class LogConfig(_Section):
    """The daemon's own log, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Events below this level are dropped."""

    format: Literal["auto", "console", "json"] = "auto"
    """Lines for people or JSON; `auto` is for people on a terminal only."""


class TelemetryConfig(_Section):
    """What the daemon says of itself; nothing of it leaves the machine."""

    log: LogConfig = LogConfig()


class Config(_Section):
    """The whole configuration; every key is optional."""

    version: Literal[1] = 1
    """The format of the file."""

    data: DataConfig = DataConfig()
    receivers: ReceiversConfig = ReceiversConfig()
    projects: ProjectsConfig = ProjectsConfig()
    storage: StorageConfig = StorageConfig()
    analysis: AnalysisConfig = AnalysisConfig()
    notify: NotifyConfig = NotifyConfig()

    shutdown_grace_s: Annotated[float, duration()] = Field(default=10.0, alias="shutdown_grace")
    """How long requests in work may take at shutdown."""

    telemetry: TelemetryConfig = TelemetryConfig()
