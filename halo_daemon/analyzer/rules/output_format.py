"""Answers held against the form that the call itself asked the model for."""

from functools import lru_cache
from typing import NamedTuple

from halo_daemon.analyzer.content import ModelCall, first_text, parse_json, text_of
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.json_schema import violation
from halo_daemon.analyzer.observation import Observation, RuleOutput, over_units, quote
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.json_value import JsonObject, JsonValue

OUTPUT_FORMAT = "output_format"
_STATED = {
    "gen_ai.output.type": frozenset({"json"}),
    "gen_ai.openai.request.response_format": frozenset({"json_object", "json_schema"}),
}
"""Attributes that state the form without a schema, and what they say of JSON."""

_SCHEMAS = ("ai.schema", "gen_ai.request.structured_output_schema")
_PARAMETERS = "llm.invocation_parameters"
_NESTED = ("text", "config", "generationConfig", "output_config")
_FORMATS = ("response_format", "format", "output_format")
_MAX_CHARS = 200_000
_FENCE = "```"
_NO_JSON = "it is no JSON"
_STOPPED = frozenset({"", "stop", "end_turn", "complete", "completed", "finished", "eos"})
"""Reasons of an answer that is whole; a cut or filtered one is reported as such."""


class _Wanted(NamedTuple):
    """What a call asked for: JSON at least."""

    schema: JsonObject | None
    """None where any JSON will do."""


def check_output_format(view: TraceView) -> RuleOutput:
    """Whole answers that are no JSON, or break the schema, where the call asked for it."""
    calls = view.model_calls
    observations = []
    stated = 0
    for call in calls:
        wanted = _wanted(call)
        if wanted is None or call.requested or not call.answer.value:
            continue
        stated += 1
        broken = _broken(call, wanted)
        if broken:
            key = FindingKey(OUTPUT_FORMAT, *view.model_subject_of(call), "", broken)
            cited = quote(call.span, "decision", call.answer)
            observations.append(Observation(key, (cited,), certainty="proved"))
    return over_units(
        observations, view.model_populations, checked=stated, of=len(calls), others="not_applicable"
    )


def _wanted(call: ModelCall) -> _Wanted | None:
    """What *call* asked for; None for words."""
    attributes = call.span.attributes
    parameters = attributes.get(_PARAMETERS)
    if parameters is not None:
        wanted = _wanted_by(text_of(parameters))
        if wanted is not None:
            return wanted
    schema = first_text(call.span, _SCHEMAS).value
    if schema:
        parsed = parse_json(schema)
        return _Wanted(parsed if isinstance(parsed, dict) else None)
    is_stated = any(attributes.get(key) in values for key, values in _STATED.items())
    return _Wanted(None) if is_stated else None


@lru_cache(maxsize=512)
def _wanted_by(parameters: str) -> _Wanted | None:
    """What the parameters of a request ask for, in the words of any provider."""
    if "ormat" not in parameters and "ime" not in parameters:
        return None
    parsed = parse_json(parameters)
    if not isinstance(parsed, dict):
        return None
    for request in (parsed, *(parsed.get(key) for key in _NESTED)):
        if isinstance(request, dict) and (wanted := _in_request(request)):
            return wanted
    return None


def _in_request(request: JsonObject) -> _Wanted | None:
    mime = request.get("response_mime_type") or request.get("responseMimeType")
    if mime == "application/json":
        schema = request.get("response_schema") or request.get("responseSchema")
        # Gemini names types in capitals; what its schemas say is not read.
        is_schema = isinstance(schema, dict) and str(schema.get("type", "")).islower()
        return _Wanted(schema if is_schema and isinstance(schema, dict) else None)
    stated = next((found for key in _FORMATS if (found := request.get(key))), None)
    if stated == "json":
        return _Wanted(None)
    if not isinstance(stated, dict):
        return None
    kind = stated.get("type")
    if kind == "json_object":
        return _Wanted(None)
    if kind == "json_schema":
        return _Wanted(_schema_in(stated))
    # What Ollama is given is the schema itself.
    return _Wanted(stated) if kind == "object" and "properties" in stated else None


def _schema_in(stated: JsonObject) -> JsonObject | None:
    named: JsonValue = stated.get("json_schema", stated)
    schema = named.get("schema") if isinstance(named, dict) else None
    return schema if isinstance(schema, dict) else None


def _broken(call: ModelCall, wanted: _Wanted) -> str:
    """
    What is wrong with a whole answer, in words without values; ``""`` when nothing is.

    An answer whose brackets stay open was cut, by the model's limit or where it was
    recorded, and is not judged. A fence around the JSON is taken off, as most readers do.
    """
    text = call.answer.value.strip()
    if call.finish_reason.value.lower() not in _STOPPED or len(text) > _MAX_CHARS:
        return ""
    body = _unfenced(text)
    parsed = parse_json(body)
    if parsed is None and body != "null":
        is_cut = body[:1] in ("{", "[", '"', "`") and body[-1:] not in ("}", "]")
        return "" if is_cut else _NO_JSON
    return violation(parsed, wanted.schema, path="answer") if wanted.schema else ""


def _unfenced(text: str) -> str:
    """What stands in the one fence that *text* is; *text* itself where it is none."""
    head, newline, rest = text.partition("\n")
    if not (newline and head.startswith(_FENCE) and rest.endswith(_FENCE)):
        return text
    return rest.removesuffix(_FENCE).strip()
