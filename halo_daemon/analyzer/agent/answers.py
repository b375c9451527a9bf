"""
Tool answers within one byte budget.

An answer that is too long is shortened, never emptied: long texts are cut with
a visible mark, then whole records are left out at the end. The envelope says
``truncated``, ``omitted`` and ``next``, the call that goes on.
"""

from collections.abc import Callable, Iterator

import orjson

from halo_daemon.proto.json_value import JsonObject, JsonValue

DEFAULT_BUDGET_BYTES = 150_000

_TEXT_LIMITS_CHARS = (4_096, 1_024, 256)
_ENVELOPE_BYTES = 1_024
_LEAST_RECORDS = 1

NextCall = Callable[[int], JsonObject | None]
"""The call that goes on after that many records; None when there is none."""


def no_next_call(_: int) -> JsonObject | None:
    """A `NextCall` for answers that cannot be continued."""
    return None


def fit(answer: JsonObject, *, budget_bytes: int, next_call: NextCall = no_next_call) -> str:
    """
    Write *answer* as JSON of at most *budget_bytes* UTF-8 bytes.

    Args:
        answer: The whole envelope; the records of its longest list may be left out.

        budget_bytes: At least 2,048.

        next_call: Names the call that continues after the records that are kept.
    """
    whole = _dump(answer)
    if len(whole) <= budget_bytes:
        return whole.decode()
    room_bytes = budget_bytes - _ENVELOPE_BYTES
    cut: JsonObject = answer
    for limit_chars in _TEXT_LIMITS_CHARS:
        cut = _cut_object(answer, limit_chars)
        records = _longest_list(cut)
        kept = _fitting_records(cut, records, room_bytes)
        if kept >= min(len(records), _LEAST_RECORDS) and _size(cut, records, kept) <= room_bytes:
            return _closed(cut, records, kept, next_call)
    return _preview(answer, room_bytes)


def cut_text(text: str, limit_chars: int) -> str:
    """*text*, or its beginning with a mark that gives its original length."""
    if len(text) <= limit_chars:
        return text
    mark = f"… [cut: {len(text)} characters in all]"
    return text[: max(0, limit_chars - len(mark))] + mark


def _closed(cut: JsonObject, records: list[JsonValue], kept: int, next_call: NextCall) -> str:
    omitted = len(records) - kept
    del records[kept:]
    cut["truncated"] = True
    if omitted:
        cut["omitted"] = {"records": omitted, "kept": kept}
        cut["next"] = next_call(kept) or "ask again for less: a narrower filter or a smaller limit"
    else:
        cut["omitted"] = {"texts": "long texts are cut where marked"}
    return _dump(cut).decode()


def _fitting_records(cut: JsonObject, records: list[JsonValue], room_bytes: int) -> int:
    low, high = 0, len(records)
    while low < high:
        middle = (low + high + 1) // 2
        if _size(cut, records, middle) <= room_bytes:
            low = middle
        else:
            high = middle - 1
    return low


def _size(cut: JsonObject, records: list[JsonValue], kept: int) -> int:
    removed = records[kept:]
    del records[kept:]
    size_bytes = len(_dump(cut))
    records.extend(removed)
    return size_bytes


def _longest_list(value: JsonValue) -> list[JsonValue]:
    lists = sorted(_lists(value), key=lambda found: len(_dump(found)))
    return lists[-1] if lists else []


def _lists(value: JsonValue) -> Iterator[list[JsonValue]]:
    if isinstance(value, list):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _lists(item)


def _cut_object(value: JsonObject, limit_chars: int) -> JsonObject:
    return {
        cut_text(key, limit_chars): _cut_value(item, limit_chars) for key, item in value.items()
    }


def _cut_value(value: JsonValue, limit_chars: int) -> JsonValue:
    if isinstance(value, str):
        return cut_text(value, limit_chars)
    if isinstance(value, list):
        return [_cut_value(item, limit_chars) for item in value]
    return _cut_object(value, limit_chars) if isinstance(value, dict) else value


def _preview(answer: JsonObject, room_bytes: int) -> str:
    text = _dump(answer).decode()
    # A character of JSON text takes at most six bytes once it is quoted again.
    preview = text[: room_bytes // 6]
    shown: JsonObject = {
        "truncated": True,
        "omitted": {"bytes": len(text.encode())},
        "next": "ask again for less: a narrower filter or a smaller limit",
        "preview": preview,
    }
    return _dump(shown).decode()


def _dump(value: JsonValue) -> bytes:
    return orjson.dumps(value, default=str)
