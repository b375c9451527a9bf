"""Spans in Parquet: frames of Phoenix and bulk exports of LangSmith."""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import orjson

from halo_daemon.exchange.incoming import Incoming, Input
from halo_daemon.exchange.json_records import Record
from halo_daemon.exchange.parquet_records import columns_of, nested, parquet_records
from halo_daemon.exchange.read_langsmith import SOURCE as LANGSMITH, langsmith_draft
from halo_daemon.exchange.read_phoenix import SOURCE as PHOENIX, phoenix_draft
from halo_daemon.exchange.record_files import DraftOf, spans_of
from halo_daemon.proto.json_value import JsonObject, JsonValue

_INDEX: Final = "__index_level_0__"
"""What a frame's index is called when it has no name; Phoenix indexes by span."""

_COUNTS: Final = "llm.token_count."
_JSON_COLUMNS: Final = ("extra", "tags", "events")


class _Form(NamedTuple):
    """What is in the rows of one source."""

    columns: frozenset[str]
    """Those that tell the source."""
    record_of: Callable[[JsonObject], JsonObject]
    draft_of: DraftOf


def parquet_source(source: Input) -> str:
    """Which source a Parquet file is of; ``""`` for none that is known."""
    columns = columns_of(source)
    return next((name for name, form in _FORMS.items() if form.columns <= columns), "")


def reads_parquet(source: str) -> bool:
    """Whether files of *source* may be Parquet."""
    return source in _FORMS


def read_parquet(source: Input, name: str) -> Iterator[Incoming]:
    """
    Read the rows of one file as spans of the source *name*, one that `reads_parquet`.

    Raises:
        ConfigError: pyarrow is not installed.
    """
    form = _FORMS[name]

    def records() -> Iterator[Record]:
        for record in parquet_records(source):
            value = record.value
            yield record if value is None else record._replace(value=form.record_of(value))

    return spans_of(records(), name, form.draft_of, resource={"service.name": source.name})


def _phoenix_record(row: JsonObject) -> JsonObject:
    """A span as Phoenix's API gives it."""
    record = nested(row, "context", "attributes")
    context, attributes = record["context"], record["attributes"]
    assert isinstance(context, dict)
    assert isinstance(attributes, dict)
    index = record.pop(_INDEX, None)
    if index is not None:
        context.setdefault("span_id", index)
    for key, value in attributes.items():
        # A column of counts in which some are missing is one of floats.
        if key.startswith(_COUNTS) and isinstance(value, float) and value.is_integer():
            attributes[key] = int(value)
    return record


def _langsmith_record(row: JsonObject) -> JsonObject:
    """A run as LangSmith's API gives it: objects are text in an export."""
    parsed: JsonObject = {key: _parsed(row[key]) for key in _JSON_COLUMNS if key in row}
    order = str(row.get("dotted_order") or "").split(".")
    # The order of a run ends with its parent's time and id, and its own.
    above = order[-2].partition("Z")[2] if len(order) > 1 else ""
    return {"parent_run_id": above, **row, **parsed}


def _parsed(value: JsonValue) -> JsonValue:
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    try:
        found: JsonValue = orjson.loads(value)
    except ValueError:
        return value
    return found


_FORMS: Final = {
    PHOENIX: _Form(frozenset({"context.trace_id", "span_kind"}), _phoenix_record, phoenix_draft),
    LANGSMITH: _Form(frozenset({"id", "run_type"}), _langsmith_record, langsmith_draft),
}
