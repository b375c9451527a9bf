"""``halo-daemon trace search`` with a condition on fields instead of a pattern."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from halo_daemon.cli import formats
from halo_daemon.cli.opening import open_reader
from halo_daemon.cli.output import Shape, print_note, print_rows, print_table

if TYPE_CHECKING:
    from halo_daemon.proto.span import Span
    from halo_daemon.store.trace_reader import Window


class Wanted(NamedTuple):
    """What is looked for, and how long."""

    condition: str
    limit: int
    time_limit_s: float


def search_spans(root: Path, slug: str, window: "Window", wanted: Wanted, shape: Shape) -> None:
    """Print the spans of whole traces that a condition holds for, in order of trace id."""
    import time

    from halo_daemon.cli.where import parse_where
    from halo_daemon.store.trace_reader import iter_parts

    holds = parse_where(wanted.condition)
    found: list[Span] = []
    last_s = time.monotonic() + wanted.time_limit_s
    is_cut = False
    with open_reader(root, slug) as reader:
        for trace in iter_parts(reader, window):
            found += [span for span in trace.spans if holds(span)]
            is_cut = time.monotonic() > last_s
            if len(found) > wanted.limit or is_cut:
                break
    is_more = len(found) > wanted.limit
    found = found[: wanted.limit]

    def table() -> None:
        print_table(
            ("trace", "span", "kind", "name", "status", "duration"),
            [
                (
                    span.trace_id,
                    span.span_id,
                    span.observation_kind,
                    span.tool_name or span.name,
                    _status(span),
                    formats.duration(span.duration_ns / 1e6) if span.is_complete else "open",
                )
                for span in found
            ],
        )

    rows = [_document(span) for span in found]
    print_rows(
        rows,
        shape,
        table,
        schema="halo.search/v1",
        key="matches",
        more={"timed_out": is_cut, "is_cut": is_more or is_cut},
    )
    if (is_more or is_cut) and not shape.as_json:
        why = "the time limit was reached" if is_cut else "there is more"
        print_note(f"{len(found)} spans; {why}", hint="raise --limit, or narrow the condition")


def _status(span: "Span") -> str:
    return "error" if span.has_error_status or span.has_derived_error else "ok"


def _document(span: "Span") -> dict[str, object]:
    from halo_daemon.proto.times import format_unix_ns

    return {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "name": span.name,
        "kind": span.observation_kind,
        "tool": span.tool_name or None,
        "model": span.model or None,
        "status": _status(span),
        "message": span.status_message or None,
        "start_time": format_unix_ns(span.start_unix_ns),
        "duration_ms": span.duration_ns // 10**6 if span.is_complete else None,
        "input_tokens": span.input_tokens,
        "output_tokens": span.output_tokens,
    }
