"""Lists of a tool's export, stored in part and gone on with."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from halo_daemon.exchange.import_batches import ImportSummary
from halo_daemon.exchange.import_state import ImportState
from halo_daemon.exchange.imports import FileProgress, Import
from halo_daemon.testing.spans import span_id_of, trace_id_of

RECORDS = 3_000
"""As many as three requests have: the last one ends where the list does."""

START = "2026-08-29T10:00:00.000Z"
END = "2026-08-29T10:00:01.000Z"


def langfuse(number: int) -> dict[str, object]:
    """An observation; every tenth has no time of its own."""
    times = {"startTime": START, "endTime": END} if number % 10 else {"startTime": None}
    trace = f"t{number // 7}"
    return {"id": f"o{number}", "traceId": trace, "type": "SPAN", "name": "work", **times}


def langsmith(number: int) -> dict[str, object]:
    """A run."""
    ids = {"id": f"r{number}", "trace_id": f"t{number // 7}"}
    return {**ids, "run_type": "tool", "name": "work", "start_time": START, "end_time": END}


def phoenix(number: int) -> dict[str, object]:
    """A span."""
    context = {"trace_id": trace_id_of(1 + number // 7), "span_id": span_id_of(1 + number)}
    times = {"start_time": START, "end_time": END}
    return {"context": context, "span_kind": "TOOL", "name": 'say "hi" ] }', **times}


SOURCES = {"langfuse": langfuse, "langsmith": langsmith, "phoenix": phoenix}


def compact(records):
    """As most programs write it."""
    return json.dumps(records, separators=(",", ":")).encode()


def indented(records):
    """For people to read."""
    return json.dumps(records, indent=2).encode() + b"\n"


def one_a_line(records):
    """A list that can be read line by line."""
    return b"[\n" + b",\n".join(json.dumps(record).encode() for record in records) + b"\n]\n"


def packed(records):
    """Compressed."""
    return gzip.compress(compact(records))


def pages(records):
    """A list of lists, as pages of an answer put together."""
    return json.dumps([records[:1_000], records[1_000:]]).encode()


FRAMES = [compact, indented, one_a_line, packed, pages]


class CutOffError(Exception):
    """The process ends here."""


class Store:
    """Takes so many batches, and then is cut off."""

    def __init__(self, batches: int) -> None:
        self._left = batches
        self.lines: list[bytes] = []

    async def accept(self, batches) -> None:
        """Keep the lines of the batches."""
        if not self._left:
            raise CutOffError
        self._left -= 1
        for batch in batches:
            self.lines += bytes(batch.lines).splitlines()


def tell_nothing(_: FileProgress) -> None:
    """Go on."""


def die_once_all_is_stored(progress: FileProgress) -> None:
    """End between the last batch and the end of the file."""
    if progress.spans == RECORDS:
        raise CutOffError


async def imported(
    source: str,
    file: Path,
    store: Store,
    state: Path | None,
    tell: Callable[[FileProgress], None] = tell_nothing,
) -> ImportSummary:
    """Import with a batch to each request, as far as the store goes."""
    run = Import(
        source=source,
        accept=store.accept,
        project="p",
        state=None if state is None else ImportState(state),
        resume=state is not None,
        batch_bytes=1,
        tell=tell,
    )
    try:
        return await run.run([file])
    except CutOffError:
        return run.summary


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.__name__)
@pytest.mark.parametrize("source", SOURCES)
async def test_a_list_that_was_cut_short_goes_on_where_it_stopped(tmp_path, source, frame):
    """After any batch: the same lines as in one go, each stored once, and it is told."""
    file = tmp_path / "export.json"
    file.write_bytes(frame([SOURCES[source](number) for number in range(RECORDS)]))
    whole = Store(100)
    await imported(source, file, whole, None)
    assert len(whole.lines) == RECORDS

    for batches in range(4):
        state = tmp_path / f"state{batches}.jsonl"
        first, second = Store(batches), Store(100)
        await imported(source, file, first, state)
        summary = await imported(source, file, second, state)
        again = await imported(source, file, Store(0), state)

        assert first.lines + second.lines == whole.lines
        assert len(first.lines) == RECORDS * batches // 3
        assert (summary.skipped, summary.restarted_files) == ({}, 0)
        assert summary.continued_files == (batches in (1, 2))
        assert again.unchanged_files == 1


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.__name__)
async def test_a_list_that_was_stored_to_its_last_record_has_nothing_more(tmp_path, frame):
    """What closes a list is no record, also where an import begins with it."""
    file, state = tmp_path / "export.json", tmp_path / "state.jsonl"
    file.write_bytes(frame([langfuse(number) for number in range(RECORDS)]))
    first, second = Store(100), Store(100)
    await imported("langfuse", file, first, state, die_once_all_is_stored)

    summary = await imported("langfuse", file, second, state)

    assert len(first.lines) == RECORDS
    assert second.lines == []
    assert (summary.skipped, summary.continued_files) == ({}, 1)


@pytest.mark.parametrize("source", SOURCES)
async def test_a_document_that_was_cut_short_is_read_from_its_start_and_it_is_told(
    tmp_path, source
):
    """An answer around the list is one record: what comes again is byte for byte the same."""
    file = tmp_path / "answer.json"
    key = "runs" if source == "langsmith" else "data"
    file.write_bytes(compact({key: [SOURCES[source](number) for number in range(RECORDS)]}))
    whole, first, second = Store(100), Store(1), Store(100)
    await imported(source, file, whole, None)

    await imported(source, file, first, tmp_path / "state.jsonl")
    summary = await imported(source, file, second, tmp_path / "state.jsonl")

    assert first.lines == whole.lines[: RECORDS // 3]
    assert second.lines == whole.lines
    assert (summary.continued_files, summary.restarted_files) == (0, 1)


async def test_a_list_that_another_replaced_is_read_from_its_start_and_it_is_told(tmp_path):
    """Of an export under the same name no place is believed."""
    file, state = tmp_path / "export.json", tmp_path / "state.jsonl"
    file.write_bytes(compact([langsmith(number) for number in range(RECORDS)]))
    await imported("langsmith", file, Store(2), state)
    file.write_bytes(compact([langsmith(number) for number in range(50_000, 51_000)]))
    store = Store(100)

    summary = await imported("langsmith", file, store, state)

    assert len(store.lines) == 1_000
    assert (summary.continued_files, summary.restarted_files) == (0, 1)
