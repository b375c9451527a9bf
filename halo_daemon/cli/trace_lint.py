"""``halo-daemon trace lint``: what of the spans was not recognised, and what fixes it."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halo_daemon.cli import exit_codes
from halo_daemon.cli.opening import (
    ProjectOption,
    data_dir,
    open_reader,
    project_slug,
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
from halo_daemon.cli.output import Shape, print_note, print_rows, print_table, printable
from halo_daemon.errors import DecodeError, HaloError

if TYPE_CHECKING:
    from halo_daemon.proto.batch import DecodedRequest
    from halo_daemon.proto.json_value import Attributes
    from halo_daemon.proto.project import Project
    from halo_daemon.proto.semconv import LintReport
    from halo_daemon.proto.span import Span

_SHOWN_KEYS = 10
_FileArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="[FILE]",
        help="Stored lines, or OTLP requests in JSON or protobuf, instead of a project.",
        exists=True,
        dir_okay=False,
    ),
]


def lint_traces(
    ctx: typer.Context,
    file: _FileArgument = None,
    *,
    since: SinceOption = "24h",
    until: UntilOption = "now",
    project: ProjectOption = "",
    as_json: JsonOption = False,
    fields: FieldsOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Tell, by instrumentation scope, what was not recognised; exits 1 when there is advice."""
    from halo_daemon.proto.semconv import lint
    from halo_daemon.store.trace_reader import iter_parts

    if file is not None:
        report = lint(spans_of_file(file))
    else:
        root = data_dir(ctx, config, data)
        with open_reader(root, project_slug(root, project)) as reader:
            window = window_of(since, until)
            report = lint(span for trace in iter_parts(reader, window) for span in trace.spans)
    print_rows(
        _scope_rows(report),
        Shape(as_json, fields),
        lambda: _print_report(report),
        schema="halo.lint/v1",
        key="scopes",
        more={"clean": report.is_clean},
    )
    if not report.is_clean:
        raise typer.Exit(exit_codes.FAILED)


def spans_of_file(path: Path) -> Iterator["Span"]:
    """
    The spans of a file: stored lines, OTLP/JSON requests one a line or one in all, or protobuf.

    Raises:
        HaloError: The file cannot be read, or is none of these.
    """
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise HaloError(f"cannot read {path}: {exc.strerror}") from exc
    if content.lstrip()[:1] != b"{":
        yield from _stored(_decode_protobuf(content, path))
        return
    # A request may be printed over many lines; otherwise each line is a document.
    documents = [content] if _is_document(content) else content.split(b"\n")
    for number, document in enumerate(documents, start=1):
        if document.strip():
            yield from _spans_of_document(document, f"{path}:{number}")


def _scope_rows(report: "LintReport") -> list[dict[str, object]]:
    return [
        {
            **asdict(scope),
            "unknown_keys": dict(scope.unknown_keys.most_common()),
            "advice": list(scope.advice),
        }
        for scope in report.scopes
    ]


def _is_document(content: bytes) -> bool:
    import orjson

    try:
        orjson.loads(content)
    except orjson.JSONDecodeError:
        return False
    return True


def _spans_of_document(document: bytes, where: str) -> Iterator["Span"]:
    import orjson

    from halo_daemon.proto.batch import DecodeLimits
    from halo_daemon.proto.otlp_json import decode_json
    from halo_daemon.proto.span import Span

    try:
        if b'"resourceSpans"' in document or b'"resource_spans"' in document:
            yield from _stored(decode_json(document, project_of=_linted, limits=DecodeLimits()))
        else:
            yield Span.from_fields(orjson.loads(document))
    except (ValueError, KeyError, TypeError, AttributeError, DecodeError) as exc:
        raise HaloError(
            f"cannot read {where}: neither a stored span nor an OTLP request",
            hint="name a shard, an export, or a captured request",
        ) from exc


def _decode_protobuf(content: bytes, path: Path) -> "DecodedRequest":
    from halo_daemon.proto.batch import DecodeLimits
    from halo_daemon.proto.otlp import decode_protobuf

    try:
        return decode_protobuf(content, project_of=_linted, limits=DecodeLimits())
    except DecodeError as exc:
        raise HaloError(
            f"cannot read {path}: neither stored spans nor an OTLP request",
            hint="name a shard, an export, or a captured request",
        ) from exc


def _stored(decoded: "DecodedRequest") -> Iterator["Span"]:
    from halo_daemon.proto.span import Span

    for batch in decoded.batches:
        for line in batch.lines.split(b"\n")[:-1]:
            yield Span.from_line(line)


def _linted(_: "Attributes") -> "Project":
    from halo_daemon.proto.project import Project

    return Project("file", "file")


def _print_report(report: "LintReport") -> None:
    if not report.scopes:
        print_note("no spans", hint="look further back with --since")
        return
    columns = ("scope", "spans", "without kind", "LLM", "tools", "advice")
    print_table(
        columns,
        [
            (
                scope.scope_name or "(no scope)",
                str(scope.spans),
                str(scope.without_kind),
                str(scope.llm_spans),
                str(scope.tool_spans),
                str(len(scope.advice)),
            )
            for scope in report.scopes
        ],
    )
    for scope in report.scopes:
        for advice in scope.advice:
            print(printable(f"{scope.scope_name or '(no scope)'}: {advice}"))
        if scope.unknown_keys:
            keys = ", ".join(
                f"{key} ({count})" for key, count in scope.unknown_keys.most_common(_SHOWN_KEYS)
            )
            print(
                printable(f"{scope.scope_name or '(no scope)'}: keys no convention knows: {keys}")
            )
