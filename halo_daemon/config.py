"""
The configuration: frozen values, every one with a unit, a default and a sentence.

A field's name in code carries its unit, its alias is the key of the file; the
sentence under a field is its reference documentation. Unknown keys are errors.
Where values come from is the business of `halo_daemon.config_file`.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from halo_daemon.config_checks import (
    checked_cron,
    checked_header,
    checked_origin,
    checked_path,
    checked_time_zone,
    checked_url,
    not_blank,
)
from halo_daemon.config_notify import NotifyConfig
from halo_daemon.config_section import Name, Section
from halo_daemon.quantities import ENDPOINT, Endpoint, duration, size

KIB, MIB, GIB = 2**10, 2**20, 2**30
MINUTE_S, HOUR_S, DAY_S = 60.0, 3_600.0, 86_400.0

# grpcio keeps a message's length in a signed 32-bit integer.
_MAX_MESSAGE_BYTES = 2**31 - 1


class DataConfig(Section):
    """Where everything is kept."""

    dir: Annotated[Path, Field(strict=False), BeforeValidator(checked_path)] = Path(
        "~/.local/state/halo-daemon"
    )
    """Shards, indexes, reports and outbox; one daemon per directory. As a service, the state
    directory that systemd gives; else `$XDG_STATE_HOME/halo-daemon` where that is set."""


class GrpcConfig(Section):
    """OTLP over gRPC."""

    endpoint: Annotated[Endpoint, ENDPOINT] = Endpoint("127.0.0.1", 4317)
    """Address to bind; port 0 takes a free one and logs it."""

    max_message_bytes: Annotated[int, size(most=_MAX_MESSAGE_BYTES)] = Field(
        default=64 * MIB, alias="max_message"
    )
    """Largest request, before and after decompression."""


class HttpConfig(Section):
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

    cors_origins: tuple[Annotated[str, AfterValidator(checked_origin)], ...] = ()
    """Web pages that may send, by origin, such as `https://app.example`."""

    allowed_hosts: tuple[Annotated[str, AfterValidator(not_blank)], ...] = ()
    """Names beside loopback that requests may be addressed to where no key is asked for."""


class TlsConfig(Section):
    """Certificates of both listeners; new ones are used without a restart."""

    cert_file: Annotated[Path, Field(strict=False)] | None = None
    """The certificate and its chain, in PEM; without one the listeners speak plain text."""

    key_file: Annotated[Path, Field(strict=False)] | None = None
    """The certificate's private key, in PEM."""

    client_ca_file: Annotated[Path, Field(strict=False)] | None = None
    """Where given, clients must show a certificate that this authority signed."""

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("write both `cert_file` and `key_file`, or neither")
        if self.client_ca_file is not None and self.cert_file is None:
            raise ValueError("`client_ca_file` needs `cert_file` and `key_file`")
        return self

    @property
    def pair(self) -> tuple[Path, Path] | None:
        """Certificate and key; None where the listeners speak plain text."""
        if self.cert_file is None or self.key_file is None:
            return None
        return self.cert_file, self.key_file


class OtlpConfig(Section):
    """The OpenTelemetry protocol."""

    grpc: GrpcConfig = GrpcConfig()
    http: HttpConfig = HttpConfig()
    tls: TlsConfig = TlsConfig()

    workers: int = Field(default=1, ge=1, le=64)
    """Processes that receive on the same two ports; as many as there are cores for load."""


class AuthConfig(Section):
    """Who may send spans."""

    mode: Literal["auto", "keys", "none"] = "auto"
    """`keys` asks for an ingest key, `none` for nothing, `auto` for one unless both listeners
    can be reached from this machine only."""


class ReceiversConfig(Section):
    """Where spans come in."""

    otlp: OtlpConfig = OtlpConfig()
    auth: AuthConfig = AuthConfig()

    max_spans_per_request: int = Field(default=50_000, ge=1, le=10_000_000)
    """Spans accepted in one request; more are refused as a whole."""

    max_parts_per_request: int = Field(default=1_000_000, ge=1, le=1_000_000_000)
    """Attributes and values in lists accepted in one request, with 4 for each resource, scope,
    event and link; more are refused as a whole, before memory is spent on them."""

    max_items_per_span: int = Field(default=100_000, ge=1, le=10_000_000)
    """Attributes, events and links, of each, kept of one span, and attributes of one event,
    link, resource or scope; the surplus is dropped, counted and named in a warning."""

    max_concurrent_requests: int = Field(default=64, ge=1, le=100_000)
    """Requests in work at a time; those beyond are told to resend later."""

    max_connections: int = Field(default=4096, ge=1, le=1_000_000)
    """Open connections of each listener, in each worker; those beyond are closed at once."""


class RouteRule(Section):
    """One place where a project's name may stand: exactly one of the two keys."""

    header: Annotated[str, AfterValidator(checked_header)] | None = None
    """A request header, or key of gRPC metadata."""

    resource: Annotated[str, AfterValidator(not_blank)] | None = None
    """A resource attribute."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.header is None) == (self.resource is None):
            raise ValueError("write either `header` or `resource`")
        return self


class ProjectsConfig(Section):
    """Which project a span belongs to."""

    route_by: tuple[RouteRule, ...] = (
        RouteRule(header="x-project-name"),
        RouteRule(resource="openinference.project.name"),
        RouteRule(resource="service.name"),
    )
    """Where the project's name is looked up; the first that is there wins."""

    default: Annotated[str, AfterValidator(not_blank)] = "default"
    """The project of spans that name none."""

    max_auto_created: int = Field(default=100, ge=0, le=100_000)
    """Projects created on first sight; spans of later ones go to the default project."""


class ShardConfig(Section):
    """The append-only files that hold spans."""

    max_size_bytes: Annotated[int, size(least=KIB)] = Field(default=64 * MIB, alias="max_size")
    """A shard of this size is sealed and a new one begun."""

    max_age_s: Annotated[float, duration(least=1.0)] = Field(default=HOUR_S, alias="max_age")
    """A shard of this age is sealed and a new one begun."""


class RedactionConfig(Section):
    """What is taken out of spans before they are stored, whether they come by the ports or by
    `import`. What is shown to a model, written in a report or exported is always masked.
    """

    secrets: Literal["keep", "mask", "hash", "drop"] = "keep"
    """What becomes of keys, tokens, passwords and card numbers in texts: `mask` replaces each by
    `[redacted:<rule>]`; `hash` by `[redacted:<rule>#<hash>]`, the same for equal secrets, with
    `redaction.key` of the data directory; `drop` leaves out the attributes that hold one, and
    masks names and messages. Costs about as much as decoding."""

    drop_attributes: tuple[Annotated[str, AfterValidator(not_blank)], ...] = ()
    """Attributes that are not stored, as patterns with `*` and `?`, such as
    `http.request.header.*`."""

    allow: tuple[Annotated[str, AfterValidator(not_blank)], ...] = ()
    """Attributes of spans and resources that are stored as they came, as such patterns."""


class RetentionConfig(Section):
    """What is kept of each project; whole traces go, the oldest first. Reports are kept."""

    max_age_s: Annotated[float, duration(least=60.0)] | None = Field(
        default=14 * DAY_S, alias="max_age"
    )
    """Traces whose last span came longer ago are deleted."""

    max_size_bytes: Annotated[int, size(least=MIB)] | None = Field(
        default=20 * GIB, alias="max_size"
    )
    """Bytes of lines, uncompressed."""

    max_traces: int | None = Field(default=None, ge=1)
    """Traces; left out, any number."""


class StorageConfig(Section):
    """How spans are kept."""

    shard: ShardConfig = ShardConfig()

    max_pending_bytes: Annotated[int, size(least=MIB)] = Field(
        default=256 * MIB, alias="max_pending"
    )
    """Bytes that may wait for the disk; requests beyond are told to resend later."""

    min_free_bytes: Annotated[int, size(least=0)] = Field(default=256 * MIB, alias="min_free")
    """Free space that is left on the disk; below it requests are told to resend later."""

    max_answer_bytes: Annotated[int, size(least=MIB)] = Field(default=64 * MIB, alias="max_answer")
    """Bytes that are read of a trace at a time: its lines, and 2 KiB more for each span. Of a
    larger one an analysis examines the beginning; commands and the agent read it in parts."""

    compress_after_s: Annotated[float, duration()] = Field(default=DAY_S, alias="compress_after")
    """A sealed shard is compressed when it has not been written to for this long."""

    tidy_every_s: Annotated[float, duration(least=1.0)] = Field(default=HOUR_S, alias="tidy_every")
    """Time between two passes that compress, index and delete what `retention` does not keep;
    the first comes a minute after the start at the latest."""

    retention: RetentionConfig = RetentionConfig()


class ScheduleEntry(Section):
    """One analysis that comes back."""

    name: Name = "nightly"
    """What the entry is called in logs and reports; no two are alike."""

    cron: Annotated[str, AfterValidator(checked_cron)] = "0 3 * * *"
    """Five fields, or `@daily` and its kin; Monday is 1, names such as `mon-fri` are read."""

    timezone: Annotated[str, AfterValidator(checked_time_zone)] = "local"
    """The zone the expression is meant in: `local`, `UTC` or a name such as `Europe/Berlin`."""

    since_s: Annotated[
        float | Literal["last_run"], duration(least=MINUTE_S, words=("last_run",))
    ] = Field(default=DAY_S, alias="since")
    """How far back the analysis looks; `last_run` begins where the last completed run ended."""

    engine: Literal["builtin", "llm"] = "builtin"
    """What finds failures: `builtin` needs no model and no key; `llm` lets a model explain and
    extend what `builtin` found."""

    projects: tuple[Annotated[str, AfterValidator(not_blank)], ...] = ("*",)
    """The projects to analyse, as patterns with `*` and `?`."""


class BudgetConfig(Section):
    """What one run may use; a run that reaches a limit leaves its report, marked partial."""

    wall_s: Annotated[float, duration(least=1.0)] = Field(default=15 * MINUTE_S, alias="wall")
    """Time one run may take before it is stopped."""

    usd: float | None = Field(default=2.0, ge=0)
    """Dollars one run may spend on a model whose price is known."""

    tokens: int | None = Field(default=2_000_000, ge=0)
    """Tokens one run may use, in and out."""


class AnalysisConfig(Section):
    """When and how failures are looked for."""

    schedule: tuple[ScheduleEntry, ...] = (ScheduleEntry(),)
    """The analyses that come back; an empty list switches them off."""

    settle_s: Annotated[float, duration()] = Field(default=2 * MINUTE_S, alias="settle")
    """A trace without an end counts as open until it has been quiet this long."""

    budget: BudgetConfig = BudgetConfig()

    max_files_bytes: Annotated[int, size(least=MIB)] = Field(default=16 * GIB, alias="max_files")
    """Lines of trace files, unpacked, that `ask` copies to TMPDIR; more are refused."""


class PriceConfig(Section):
    """What a model costs; unknown where it is left out, and then `analysis.budget.usd` cannot bind."""

    input_usd: float | None = Field(default=None, ge=0)
    """Dollars for a million input tokens."""

    output_usd: float | None = Field(default=None, ge=0)
    """Dollars for a million output tokens."""

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.input_usd is None) != (self.output_usd is None):
            raise ValueError("write both `input_usd` and `output_usd`, or neither")
        return self


class ModelConfig(Section):
    """A language model behind an OpenAI-compatible API."""

    base_url: Annotated[str, AfterValidator(checked_url)] | None = None
    """Where it answers; left out, `$OPENAI_BASE_URL`, else OpenAI's own address."""

    api_key: Annotated[SecretStr, Field(strict=False)] | None = None
    """Its key, as `${env:NAME}` or `${file:/path}`; left out, `$OPENAI_API_KEY`."""

    model: Annotated[str, AfterValidator(not_blank)] = "gpt-5.4-mini"
    """The model's name as the provider knows it."""

    api: Literal["auto", "chat", "responses"] = "auto"
    """Which API is spoken: `auto` is chat completions unless the model needs the other."""

    price: PriceConfig = PriceConfig()


class ModelsConfig(Section):
    """Who is asked by `engine: llm`; nothing is sent anywhere by `builtin`."""

    default: ModelConfig = ModelConfig()


class LogConfig(Section):
    """The daemon's own log, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Events below this level are dropped."""

    format: Literal["auto", "console", "json"] = "auto"
    """Lines for people or JSON; `auto` is for people on a terminal only."""


class TelemetryConfig(Section):
    """What the daemon says of itself; nothing of it leaves the machine."""

    log: LogConfig = LogConfig()

    metrics: bool = True
    """Whether `/metrics` on the HTTP port tells counts, in the Prometheus format."""


class Config(Section):
    """The whole configuration; every key is optional."""

    version: Literal[1] = 1
    """The format of the file."""

    data: DataConfig = DataConfig()
    receivers: ReceiversConfig = ReceiversConfig()
    projects: ProjectsConfig = ProjectsConfig()
    storage: StorageConfig = StorageConfig()
    redaction: RedactionConfig = RedactionConfig()
    analysis: AnalysisConfig = AnalysisConfig()
    models: ModelsConfig = ModelsConfig()
    notify: NotifyConfig = NotifyConfig()

    shutdown_grace_s: Annotated[float, duration()] = Field(default=10.0, alias="shutdown_grace")
    """How long requests in work may take at shutdown."""

    telemetry: TelemetryConfig = TelemetryConfig()
