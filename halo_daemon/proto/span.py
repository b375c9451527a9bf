"""A canonical span line, read back."""

from dataclasses import dataclass, field
from typing import Any, Self, cast

import orjson

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.times import parse_unix_ns

STATUS_ERROR = "STATUS_CODE_ERROR"

LLM = "LLM"
TOOL = "TOOL"
AGENT = "AGENT"


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""


@dataclass(slots=True, eq=False)
class Span:
    """
    One span as stored, with times as integer nanoseconds; read only.

    Identity is ``(trace_id, span_id)``. ``attributes`` holds what the client
    sent and, after it, the derived ``inference.*`` keys.
    """

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: str
    start_unix_ns: int
    end_unix_ns: int
    status_code: str
    status_message: str
    resource_attributes: JsonObject
    scope_name: str
    scope_version: str
    attributes: JsonObject
    events: tuple[JsonObject, ...] = ()
    links: tuple[JsonObject, ...] = ()
    fields: JsonObject = field(default_factory=dict, repr=False)
    """The whole line, for what has no field here."""

    observation_kind: str = field(init=False)
    """``LLM``, ``TOOL``, ``AGENT``, ``CHAIN``, … or ``SPAN`` for the rest."""

    _line_bytes: int = field(init=False, default=0, repr=False)

    def __post_init__(self) -> None:
        kind = self.attributes.get("inference.observation_kind")
        self.observation_kind = kind if kind and isinstance(kind, str) else "SPAN"

    @classmethod
    def from_line(cls, line: bytes | bytearray) -> Self:
        """
        Read one line of a shard, with or without its newline.

        Raises:
            ValueError: *line* is not a canonical span.
        """
        try:
            span = cls.from_fields(orjson.loads(line))
        except (KeyError, TypeError, AttributeError) as exc:
            raise ValueError(f"not a canonical span: {exc!r}") from exc
        span._line_bytes = len(line) - line.endswith(b"\n")  # noqa: SLF001 -- its own
        return span

    @classmethod
    def from_fields(cls, fields: JsonObject) -> Self:
        """
        Read the JSON object of one line.

        Raises:
            KeyError, TypeError, AttributeError, ValueError: a field is missing or of
                another type.
        """
        line = cast("dict[str, Any]", fields)
        status, scope = line["status"], line["scope"]
        return cls(
            line["trace_id"],
            line["span_id"],
            line["parent_span_id"],
            line["name"],
            line["kind"],
            parse_unix_ns(line["start_time"]),
            parse_unix_ns(line["end_time"]),
            status["code"],
            status["message"],
            line["resource"]["attributes"],
            scope["name"],
            scope["version"],
            line["attributes"],
            tuple(line["events"]) if "events" in line else (),
            tuple(line["links"]) if "links" in line else (),
            fields,
        )

    def text(self, key: str) -> str:
        """The attribute *key* when it is a string, else ``""``."""
        value = self.attributes.get(key)
        return value if isinstance(value, str) else ""

    def count(self, key: str) -> int | None:
        """The attribute *key* when it is an integer, else None."""
        value = self.attributes.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    @property
    def is_complete(self) -> bool:
        """Whether the span has ended; a pending version of a span has no end."""
        return self.end_unix_ns > 0

    @property
    def duration_ns(self) -> int:
        """End minus start; 0 where the end is missing or before the start."""
        # A missing end is 0, before any start.
        return max(0, self.end_unix_ns - self.start_unix_ns)

    @property
    def model(self) -> str:
        """The served model, else the requested one; ``""`` when unknown."""
        model = self.attributes.get("inference.llm.model_name")
        return model if isinstance(model, str) else ""

    @property
    def provider(self) -> str:
        """The model's provider; ``""`` when unknown."""
        return self.text("inference.llm.provider")

    @property
    def agent_name(self) -> str:
        """The agent that the span belongs to; ``""`` when unknown."""
        name = self.attributes.get("inference.agent_name")
        return name if isinstance(name, str) else ""

    @property
    def session_id(self) -> str:
        """The traced application's session; ``""`` when unknown."""
        session = self.attributes.get("inference.session_id")
        return session if isinstance(session, str) else ""

    @property
    def user_id(self) -> str:
        """The traced application's user; ``""`` when unknown."""
        return self.text("inference.user_id")

    @property
    def tool_name(self) -> str:
        """The tool that a TOOL span ran, else ``""``; the span's name when not recorded."""
        if self.observation_kind != TOOL:
            return ""
        name = self.attributes.get("tool.name")
        return name if name and isinstance(name, str) else self.name

    @property
    def input_tokens(self) -> int | None:
        """Input tokens of a leaf model call, cached ones included; None when unknown."""
        tokens = self.attributes.get("inference.llm.input_tokens")
        return tokens if isinstance(tokens, int) and not isinstance(tokens, bool) else None

    @property
    def output_tokens(self) -> int | None:
        """Output tokens of a leaf model call; None when unknown."""
        tokens = self.attributes.get("inference.llm.output_tokens")
        return tokens if isinstance(tokens, int) and not isinstance(tokens, bool) else None

    @property
    def cost_usd(self) -> float | None:
        """Cost of a leaf model call; None when unknown."""
        value = self.attributes.get("inference.llm.cost.total")
        if value is None or isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return float(value)

    @property
    def service_name(self) -> str:
        """``service.name`` of the resource; ``""`` when absent."""
        return _text(self.resource_attributes.get("service.name"))

    @property
    def service_version(self) -> str:
        """``service.version`` of the resource; ``""`` when absent."""
        return _text(self.resource_attributes.get("service.version"))

    @property
    def has_error_status(self) -> bool:
        """Whether the OTel status is ERROR."""
        return self.status_code == STATUS_ERROR

    @property
    def has_derived_error(self) -> bool:
        """Whether an error signal stands outside the status."""
        return self.attributes.get("halo.derived.error") is True

    @property
    def line_bytes(self) -> int:
        """Bytes of its stored line, without the newline."""
        return self._line_bytes or len(self.to_line()) - 1

    def to_line(self) -> bytes:
        """The canonical line with its newline; equal to the one that was read."""
        return orjson.dumps(self.fields) + b"\n"
