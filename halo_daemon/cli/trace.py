"""``halo-daemon trace``: list, show, search, compare and export traces."""

from typing import TYPE_CHECKING, Annotated

import typer

from halo_daemon.cli import exit_codes, formats
from halo_daemon.cli.exporting import export_app
from halo_daemon.cli.opening import (
    ProjectOption,
    data_dir,
    open_queries,
    open_reader,
    project_slug,
    settings_of,
    whole_trace_id,
    window_of,
)
from halo_daemon.cli.options import (
    ConfigOption,
    DataOption,
    FieldsOption,
    JsonOption,
    SinceOption,
    UntilOption,
)
from halo_daemon.cli.output import (
    Shape,
    print_note,
    print_rows,
    print_table,
    printable,
    write_stdout,
)
from halo_daemon.cli.trace_conditions import Wanted, search_spans
from halo_daemon.cli.trace_tree import print_trace
from halo_daemon.cli.usage import noun
from halo_daemon.errors import ConfigError

if TYPE_CHECKING:
    from halo_daemon.config import Config
    from halo_daemon.proto.json_value import JsonObject
    from halo_daemon.proto.trace import Trace
    from halo_daemon.store.records import TraceRecord

app = noun("Stored traces.")
app.add_typer(export_app, name="export")

_TraceId = Annotated[str, typer.Argument(metavar="TRACE", help="Id, or its beginning.")]
_SHOWN_CHARS = 500
_MAX_STEPS = 2_000
"""Steps of a trace that are compared; deeper ones are folded, for comparing is quadratic."""


@app.command("list")
def list_traces(
    ctx: typer.Context,
    *,
    since: SinceOption = "24h",
    until: UntilOption = "now",
    project: ProjectOption = "",
    errors: Annotated[
        bool,
        typer.Option(
            "--errors",
            help="Only those with errors: a status, or a tool's result that tells of one.",
        ),
    ] = False,
    tool: Annotated[str, typer.Option("--tool", help="Only those that ran this tool.")] = "",
    session: Annotated[str, typer.Option("--session", help="Only those of this session.")] = "",
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=500, help="Traces.")
    ] = 50,
    as_json: JsonOption = False,
    fields: FieldsOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """List traces received in a window, the one that started last first."""
    import time

    from halo_daemon.store.filters import SpanFilter, TraceFilter
    from halo_daemon.store.query import TraceQuery

    root = data_dir(ctx, config, data)
    # Two conditions: often the root alone names the session.
    wanted = (
        *((SpanFilter(tool_names=(tool,)),) if tool else ()),
        *((SpanFilter(session_ids=(session,)),) if session else ()),
    )
    query = TraceQuery(
        filter=TraceFilter(
            has_error_signals=True if errors else None,
            any_span=wanted,
        ),
        limit=limit,
    )
    with open_queries(root, project_slug(root, project)) as queries:
        page = queries.query_traces(window_of(since, until), query)

    def table() -> None:
        columns = ("trace", "started", "duration", "spans", "errors", "tokens")
        print_table(columns, [_trace_row(trace, time.time_ns()) for trace in page.traces])

    rows = [trace._asdict() for trace in page.traces]
    print_rows(
        rows,
        Shape(as_json, fields),
        table,
        schema="halo.traces/v1",
        key="traces",
        more={"total": page.total},
    )
    if not as_json and page.total > len(page.traces):
        print_note(f"{len(page.traces)} of {page.total} traces", hint="raise --limit")
    elif not as_json and not page.total:
        print_note("no traces in the window", hint="widen it with --since 7d")


@app.command("show")
def show_trace(
    ctx: typer.Context,
    trace_id: _TraceId,
    *,
    project: ProjectOption = "",
    conversation: Annotated[
        bool, typer.Option("--conversation", help="What was said, in order of time.")
    ] = False,
    tree: Annotated[bool, typer.Option("--tree", help="The tree of spans; the default.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="The lines, one a span.")] = False,
    after: Annotated[
        str,
        typer.Option("--after", metavar="SPAN", help="Go on with a large trace after a span."),
    ] = "",
    as_json: JsonOption = False,
    fields: FieldsOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Show one trace: its tree, its conversation, or its lines."""
    if tree + conversation + raw > 1:
        raise ConfigError("--tree, --conversation and --raw are three views", hint="choose one")
    trace = _load(settings_of(ctx, config, data), project, trace_id, after=after)
    if raw:
        write_stdout(span.to_line() for span in trace.spans)
    elif as_json or fields:
        spans: list[JsonObject] = [span.fields for span in trace.spans]
        print_rows(
            spans,
            Shape(as_json, fields),
            lambda: None,
            schema="halo.trace/v1",
            key="spans",
            more={"trace_id": trace.trace_id, "rest": trace.cut and trace.cut._asdict()},
        )
    elif conversation:
        _print_conversation(trace)
    else:
        print_trace(trace)
    if trace.cut is not None and not as_json:
        size = formats.size(trace.cut.line_bytes)
        print_note(
            f"{trace.cut.spans} spans of {size} follow", hint=f"add --after {trace.cut.after}"
        )


@app.command("search")
def search_traces(
    ctx: typer.Context,
    pattern: Annotated[
        str,
        typer.Argument(
            metavar="PATTERN",
            help="RE2 pattern, looked for in decoded values; or a condition like"
            " status=error and tool~search.",
        ),
    ],
    *,
    since: SinceOption = "24h",
    until: UntilOption = "now",
    project: ProjectOption = "",
    ignore_case: Annotated[
        bool, typer.Option("-i", "--ignore-case", help="Upper and lower case alike.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=500, help="Spans.")] = 50,
    time_limit_s: Annotated[
        float,
        typer.Option(
            "--time-limit",
            metavar="SECONDS",
            min=0.1,
            max=600,
            help="Seconds, of the whole search.",
        ),
    ] = 30.0,
    after: Annotated[str, typer.Option("--after", help="Go on from an earlier answer.")] = "",
    as_json: JsonOption = False,
    fields: FieldsOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Find spans with a value that matches, in the order in which they came."""
    from halo_daemon.cli.where import is_condition
    from halo_daemon.store.query import SearchQuery

    root = data_dir(ctx, config, data)
    slug = project_slug(root, project)
    window = window_of(since, until)
    shape = Shape(as_json, fields)
    if is_condition(pattern) and not after:
        search_spans(root, slug, window, Wanted(pattern, limit, time_limit_s), shape)
        return
    query = SearchQuery(
        pattern=pattern,
        ignore_case=ignore_case,
        limit=limit,
        time_limit_s=time_limit_s,
        after=after,
    )
    with open_queries(root, slug) as queries:
        answer = queries.search(window, query)

    def table() -> None:
        print_table(
            ("trace", "span", "name", "where", "text"),
            [
                (match.trace_id, match.span_id, match.name, match.where, match.context)
                for match in answer.matches
            ],
        )

    document = answer.model_dump()
    rows = document.pop("matches")
    print_rows(rows, shape, table, schema="halo.search/v1", key="matches", more=document)
    if answer.next and not as_json:
        why = "the time limit was reached" if answer.timed_out else "there is more"
        print_note(f"{len(answer.matches)} spans; {why}", hint=f"add --after {answer.next}")


@app.command("diff")
def diff_traces(
    ctx: typer.Context,
    first: _TraceId,
    second: _TraceId,
    *,
    project: ProjectOption = "",
    as_json: JsonOption = False,
    fields: FieldsOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Compare the steps of two traces; exits 1 when they differ."""
    from difflib import SequenceMatcher

    settings = settings_of(ctx, config, data)
    a, b = (_steps(_load(settings, project, trace_id)) for trace_id in (first, second))
    rows: list[tuple[str, str]] = []
    for kind, *bounds in SequenceMatcher(a=a, b=b, autojunk=False).get_opcodes():
        if kind == "equal":
            rows += [(" ", step) for step in a[bounds[0] : bounds[1]]]
        else:
            rows += [("-", step) for step in a[bounds[0] : bounds[1]]]
            rows += [("+", step) for step in b[bounds[2] : bounds[3]]]

    def lines() -> None:
        for change, step in rows:
            print(f"{change} {printable(step)}")

    steps = [{"change": change, "step": step} for change, step in rows]
    print_rows(steps, Shape(as_json, fields), lines, schema="halo.trace-diff/v1", key="steps")
    if any(change != " " for change, _ in rows):
        raise typer.Exit(exit_codes.FAILED)


def _load(settings: "Config", project: str, trace_id: str, *, after: str = "") -> "Trace":
    root = settings.data.dir
    slug = project_slug(root, project)
    with open_reader(root, slug, max_answer_bytes=settings.storage.max_answer_bytes) as reader:
        trace = reader.load_trace(whole_trace_id(root, slug, trace_id), after=after)
    if trace is None:
        raise ConfigError(f"nothing follows span `{after[:64]}`", hint="leave out --after")
    return trace


def _trace_row(trace: "TraceRecord", now_unix_ns: int) -> tuple[str, ...]:
    return (
        trace.trace_id,
        formats.moment(trace.start_unix_ns, now_unix_ns=now_unix_ns),
        formats.duration(trace.duration_ms) if trace.end_unix_ns else "open",
        str(trace.spans),
        str(trace.error_spans + trace.derived_error_spans),
        str(trace.input_tokens + trace.output_tokens),
    )


def _print_conversation(trace: "Trace") -> None:
    from halo_daemon.cli.conversation import conversation_of

    speaker = ""
    for said in conversation_of(trace):
        if said.span.span_id != speaker:
            speaker = said.span.span_id
            print(printable(f"{said.span.observation_kind} {said.span.name}  {speaker}"))
        cut = said.text[:_SHOWN_CHARS] + ("…" if len(said.text) > _SHOWN_CHARS else "")
        print(printable(f"  {said.label:9} {cut}"))


def _steps(trace: "Trace") -> list[str]:
    from halo_daemon.store.views import fit, outline

    return [
        "  " * entry.depth
        + f"{entry.observation_kind} {entry.name}"
        + (" (error)" if entry.has_error else "")
        for entry in fit(outline(trace), max_entries=_MAX_STEPS)
    ]
