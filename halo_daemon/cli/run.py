"""``halo-daemon run``: the runs of the agent that were asked for with `ask`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halo_daemon.cli.instants import parse_instant
from halo_daemon.cli.opening import settings_of
from halo_daemon.cli.options import (
    ConfigOption,
    DataOption,
    FieldsOption,
    JsonOption,
    header_of,
    load_config,
)
from halo_daemon.cli.output import (
    Shape,
    print_fields,
    print_note,
    print_rows,
    print_table,
    printable,
)
from halo_daemon.cli.usage import noun
from halo_daemon.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from halo_daemon.proto.json_value import JsonObject

app = noun("Runs of the agent.")

_RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id, or its beginning.")]
_FOLLOW_POLL_S = 0.2
_SHOWN_CHARS = 200


@app.command("list")
def list_runs(
    ctx: typer.Context,
    *,
    since: Annotated[
        str, typer.Option("--since", metavar="T", help="Only those that went on since.")
    ] = "",
    until: Annotated[
        str, typer.Option("--until", metavar="T", help="Only those whose last step came before.")
    ] = "",
    as_json: JsonOption = False,
    fields: FieldsOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """List runs, the newest first."""
    begin, end = _instant(since, 0), _instant(until, 2**64)
    runs = _runs(_directory(ctx, config, data))
    rows = [_summary(path) for path in runs if begin <= _last_step_unix_ns(path) < end]

    def table() -> None:
        columns = ("run", "status", "reason", "turns", "tokens", "question")
        print_table(columns, [[str(row[column]) for column in columns] for row in rows])
        if not rows:
            print_note("no runs", hint="halo-daemon ask --help")

    print_rows(rows, Shape(as_json, fields), table, schema="halo.agent-runs/v1", key="runs")


@app.command("show")
def show_run(
    ctx: typer.Context,
    run: _RunId,
    *,
    as_json: JsonOption = False,
    fields: FieldsOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Show how a run went and what it found."""
    directory = _run_directory(ctx, run, config, data)
    records = _records(directory)
    document = {**_summary(directory), "findings": _findings(records), "answer": _answer(records)}
    if as_json or fields:
        print_fields(document, Shape(as_json, fields), schema="halo.agent-run/v1")
        return
    for key in (
        "run",
        "status",
        "reason",
        "detail",
        "turns",
        "requests",
        "tokens",
        "usd",
        "question",
    ):
        print(f"{key:10} {printable(str(document[key]))}")
    for finding in _findings(records):
        mark = "verified" if finding["verified"] else "unverified"
        print(f"{mark:10} {finding['finding_id']} {printable(str(finding['title']))}")
    print(f"\n{printable(_answer(records))}")


@app.command("logs")
def show_logs(
    ctx: typer.Context,
    run: _RunId,
    *,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Wait for more.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Show the journal of a run, a line for each step."""
    import time

    directory = _run_directory(ctx, run, config, data)
    shown = 0
    while True:
        records = _records(directory)
        for record in records[shown:]:
            print(json.dumps(record) if as_json else _line(record), flush=True)
        shown = len(records)
        if not follow or any(record.get("type") == "run_end" for record in records):
            return
        time.sleep(_FOLLOW_POLL_S)


@app.command("cancel")
def cancel_run(
    ctx: typer.Context, run: _RunId, *, config: ConfigOption = None, data: DataOption = None
) -> None:
    """End a run that is going on; what it recorded is kept."""
    from halo_daemon.cli.agent_runs import CANCEL_NAME

    directory = _run_directory(ctx, run, config, data)
    if _summary(directory)["status"] != "running":
        print_note(f"already_ended: {directory.name}")
        return
    (directory / CANCEL_NAME).touch()
    print_note(f"cancelling {directory.name}")


@app.command("retry")
def retry_run(
    ctx: typer.Context,
    run: _RunId,
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """
    Go on with a run that stopped early, as it was asked; the key comes from $OPENAI_API_KEY.

    Exits 4 when a budget ended it again.
    """
    from halo_daemon.cli.agent_runs import answer, kept_question

    settings = load_config(ctx, config=config, data=data)
    directory = _run_directory(ctx, run, config, data)
    if _summary(directory)["status"] == "complete":
        print_note(f"already_ended: {directory.name}")
        return
    question, options = kept_question(settings, directory.name)
    raise typer.Exit(answer(settings, options, question, resume=directory.name, as_json=as_json))


@app.command("replay")
def replay_run(
    ctx: typer.Context,
    run: _RunId,
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """
    Run again from the journal, without a model; fails where it would ask something else.

    Exits 4 where a budget had ended the run.
    """
    from halo_daemon.cli.agent_runs import replay

    settings = load_config(ctx, config=config, data=data)
    directory = _run_directory(ctx, run, config, data)
    raise typer.Exit(replay(settings, directory.name, as_json=as_json))


@app.command("export")
def export_run(
    ctx: typer.Context,
    run: _RunId,
    *,
    endpoint: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Send them to this OTLP/HTTP endpoint instead."),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option("--header", "-H", metavar="'N: V'", help="Sent along with --endpoint."),
    ] = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """
    Print the run's own spans, one a line, or send them to an endpoint.

    `halo.self` marks them: a halo-daemon leaves them out of what it stores.
    """
    from halo_daemon.exchange.post_spans import post_spans

    spans = _own_spans(_run_directory(ctx, run, config, data))
    if endpoint is None:
        for span in spans:
            print(json.dumps(span, ensure_ascii=False, separators=(",", ":")))
        return
    headers = dict(map(header_of, header or ()))
    sent, rejected = post_spans(spans, endpoint=endpoint, headers=headers)
    print(f"sent {sent} spans, {rejected} of them refused")


def _own_spans(directory: Path) -> "Iterator[JsonObject]":
    from halo_daemon.analyzer.agent.engine import JOURNAL_NAME
    from halo_daemon.analyzer.agent.own_spans import spans_of

    records = _records(directory)
    ended_unix_ns = (directory / JOURNAL_NAME).stat().st_mtime_ns
    elapsed_s = records[-1].get("elapsed_s") if records else 0.0
    lasted_ns = int(elapsed_s * 10**9) if isinstance(elapsed_s, (int, float)) else 0
    return spans_of(records, started_unix_ns=ended_unix_ns - lasted_ns)


def _directory(ctx: typer.Context, config: Path | None, data: Path | None) -> Path:
    from halo_daemon.cli.agent_runs import runs_directory

    return runs_directory(settings_of(ctx, config, data))


def _runs(directory: Path) -> list[Path]:
    from halo_daemon.analyzer.agent.engine import JOURNAL_NAME

    found = [path.parent for path in directory.glob(f"*/{JOURNAL_NAME}")]
    return sorted(found, key=_last_step_unix_ns, reverse=True)


def _last_step_unix_ns(run: Path) -> int:
    from halo_daemon.analyzer.agent.engine import JOURNAL_NAME

    return (run / JOURNAL_NAME).stat().st_mtime_ns


def _instant(text: str, otherwise: int) -> int:
    import time

    return parse_instant(text, now_unix_ns=time.time_ns()) if text else otherwise


def _run_directory(ctx: typer.Context, run: str, config: Path | None, data: Path | None) -> Path:
    runs = _runs(_directory(ctx, config, data))
    found = [path for path in runs if path.name.startswith(run) or path.name == f"run-{run}"]
    if len(found) != 1:
        why = f": {len(found)} begin so" if found else ""
        raise UnknownNameError(f"cannot find run `{run[:80]}`{why}", hint="halo-daemon run list")
    return found[0]


def _records(directory: Path) -> "list[JsonObject]":
    from halo_daemon.analyzer.agent.engine import JOURNAL_NAME
    from halo_daemon.analyzer.agent.journal import read_journal

    return [*read_journal(directory / JOURNAL_NAME)]


def _summary(directory: Path) -> dict[str, object]:
    records = _records(directory)
    last = records[-1] if records else {}
    end = last if last.get("type") == "run_end" else {}
    start = records[0] if records else {}
    task = start.get("task")
    question = (
        task[-1].get("content") if isinstance(task, list) and isinstance(task[-1], dict) else ""
    )
    return {
        "run": directory.name,
        "status": end.get("status", "running"),
        "reason": end.get("reason") or "",
        "turns": end.get("turns", 0),
        "requests": end.get("requests", 0),
        "tokens": end.get("tokens", 0),
        "usd": end.get("usd", 0.0),
        "detail": end.get("detail") or "",
        "question": str(question)[:_SHOWN_CHARS],
    }


def _findings(records: "list[JsonObject]") -> "list[JsonObject]":
    kept = {}
    for record in records:
        finding = record.get("finding")
        inner = finding.get("finding") if isinstance(finding, dict) else None
        if isinstance(inner, dict):
            keys = ("finding_id", "title", "severity", "verified")
            kept[str(inner["finding_id"])] = {key: inner[key] for key in keys}
    return [*kept.values()]


def _answer(records: "list[JsonObject]") -> str:
    ends = [r for r in records if r.get("type") == "agent_end" and str(r["agent_id"])[:4] == "root"]
    return str(ends[-1].get("answer", "")) if ends else ""


def _line(record: "JsonObject") -> str:
    rest = {key: value for key, value in record.items() if key not in {"type", "elapsed_s"}}
    text = json.dumps(rest, ensure_ascii=False)
    return printable(f"{record.get('elapsed_s', 0):>9} {record['type']:12} {text}")[:_SHOWN_CHARS]
