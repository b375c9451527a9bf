"""``halo-daemon finding``: look findings up and say what becomes of them."""

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from halo_daemon.cli.instants import parse_instant
from halo_daemon.cli.opening import data_dir
from halo_daemon.cli.options import ConfigOption, DataOption, FieldsOption, JsonOption
from halo_daemon.cli.output import (
    Shape,
    print_fields,
    print_note,
    print_rows,
    print_table,
    printable,
)
from halo_daemon.cli.usage import noun
from halo_daemon.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from halo_daemon.analyzer.finding_desk import FindingDesk, KnownFinding
    from halo_daemon.findings import FindingState, Triage

app = noun("Findings.")

_Finding = Annotated[str, typer.Argument(metavar="F", help="Id, or its beginning.")]
_Project = Annotated[
    str | None, typer.Option("--project", metavar="NAME", help="The finding's project.")
]
_Note = Annotated[str, typer.Option("--note", help="Why.")]


class Verdict(StrEnum):
    """What a person thinks of a finding."""

    GOOD = "good"
    BAD = "bad"


@app.command("list")
def list_findings(
    ctx: typer.Context,
    *,
    project: _Project = None,
    since: Annotated[str, typer.Option("--since", metavar="T", help="Only those seen since.")] = "",
    until: Annotated[
        str, typer.Option("--until", metavar="T", help="Only those first seen before.")
    ] = "",
    all_states: Annotated[bool, typer.Option("--all", help="Resolved ones too.")] = False,
    as_json: JsonOption = False,
    fields: FieldsOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """List findings, those of the latest report first."""
    now = _now()
    begin, end = (_instant(text) for text in (since, until))
    rows = [
        (desk.project, row)
        for desk in _desks(ctx, project, config, data)
        for row in desk.list(now)
        if (all_states or row.state != "resolved")
        and row.history.last_seen >= begin
        and (not end or row.history.first_seen < end)
    ]
    documents = [{"project": name, **_document(row)} for name, row in rows]
    shape = Shape(as_json, fields)
    print_rows(
        documents, shape, lambda: _print_list(rows), schema="halo.findings/v1", key="findings"
    )


def _print_list(rows: "Sequence[tuple[str, KnownFinding]]") -> None:
    from halo_daemon.findings import short_ids

    # Whole in a pipe: short ones are told apart among these rows alone.
    ids = [row.finding_id for _, row in rows]
    names = short_ids(ids) if sys.stdout.isatty() else dict(zip(ids, ids, strict=True))
    columns = ("severity", "finding", "state", "triage", "project", "title")
    table = [
        [
            row.finding.severity if row.finding else "–",
            names[row.finding_id],
            _state_words(row),
            row.triage.state.replace("_", " "),
            name,
            printable(row.title),
        ]
        for name, row in rows
    ]
    print_table(columns, table)
    if not rows:
        print_note("no findings", hint="halo-daemon analyze --since 24h")


@app.command("show")
def show_finding(
    ctx: typer.Context,
    finding: _Finding,
    *,
    project: _Project = None,
    as_json: JsonOption = False,
    fields: FieldsOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Show a finding with its history and its evidence."""
    from halo_daemon.analyzer.brief import render_brief
    from halo_daemon.analyzer.figures import day_and_minute, plural

    desk, row = _found(ctx, finding, project, config=config, data=data)
    if as_json or fields:
        document = {"project": desk.project, **_document(row)}
        print_fields(document, Shape(as_json, fields), schema="halo.finding/v1")
        return
    history = row.history
    print(f"{row.finding_id}  {_state_words(row)}  {printable(row.title)}")
    first, last = (day_and_minute(moment) for moment in (history.first_seen, history.last_seen))
    print(f"seen in {plural(history.reports_seen, 'report')}, {first} to {last} UTC")
    if row.triage.state != "open" or row.triage.note:
        told = " ".join(filter(None, (_end_of(row.triage), row.triage.note, row.triage.by)))
        print(f"{row.triage.state.replace('_', ' ')}  {printable(told)}")
    report = desk.latest_report
    if row.finding and report:
        print()
        print(printable(render_brief(report, row.finding)), end="")


@app.command("prompt")
def prompt(
    ctx: typer.Context,
    finding: _Finding,
    *,
    project: _Project = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Print the brief of a finding for a coding agent."""
    from halo_daemon.analyzer.brief import render_brief

    desk, row = _found(ctx, finding, project, config=config, data=data)
    report = desk.latest_report
    if row.finding is None or report is None:
        raise ConfigError(
            f"cannot write a brief: the latest report does not show {row.finding_id}",
            hint="halo-daemon analyze --since 7d",
        )
    print(render_brief(report, row.finding), end="")


@app.command("ack")
def acknowledge(
    ctx: typer.Context,
    finding: _Finding,
    *,
    note: _Note = "",
    project: _Project = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Say that someone looks after a finding."""
    from halo_daemon.findings import Triage

    desk, row = _found(ctx, finding, project, config=config, data=data)
    _decide(desk, row, Triage(state="acknowledged", note=note))


@app.command("mute")
def mute(
    ctx: typer.Context,
    finding: _Finding,
    *,
    until: Annotated[
        str,
        typer.Option("--until", metavar="T", help="7d, an instant, or `regressed`."),
    ] = "30d",
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "",
    project: _Project = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Count a finding and tell nobody, for a time or until it gets worse."""
    from halo_daemon.findings import Triage

    desk, row = _found(ctx, finding, project, config=config, data=data)
    _decide(desk, row, Triage(state="muted", until=_until(until), note=reason))


@app.command("feedback")
def feedback(
    ctx: typer.Context,
    finding: _Finding,
    verdict: Annotated[Verdict, typer.Argument(help="Whether it is one.")],
    *,
    note: _Note = "",
    project: _Project = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Say whether a finding is right; a bad one is a false positive from then on."""
    from halo_daemon.findings import Triage

    desk, row = _found(ctx, finding, project, config=config, data=data)
    if verdict is Verdict.BAD:
        _decide(desk, row, Triage(state="false_positive", note=note))
    else:
        _decide(desk, row, Triage(state="acknowledged", note=note or "right"))


@app.command("resolve")
def resolve(
    ctx: typer.Context,
    finding: _Finding,
    *,
    in_version: Annotated[
        str, typer.Option("--in-version", metavar="V", help="First version with the fix.")
    ] = "",
    project: _Project = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Say that a finding is fixed; it is reopened when it is seen again."""
    desk, row = _found(ctx, finding, project, config=config, data=data)
    _set_state(desk, row, "resolved", note=in_version)


@app.command("reopen")
def reopen(
    ctx: typer.Context,
    finding: _Finding,
    *,
    project: _Project = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Take a resolution, a mute or a verdict back."""
    from halo_daemon.findings import Triage

    desk, row = _found(ctx, finding, project, config=config, data=data)
    if row.triage.state != "open":
        _decide(desk, row, Triage())
    if row.state == "resolved":
        _set_state(desk, row, "reopened", note="")
    elif row.triage.state == "open":
        print_note(f"already_open: {row.finding_id}")


def _end_of(triage: "Triage") -> str:
    from halo_daemon.analyzer.figures import day_and_minute

    if triage.until in {None, "regressed"}:
        return "until it regresses:" if triage.until else ""
    return f"until {day_and_minute(triage.until or '')} UTC:"


def _decide(desk: "FindingDesk", row: "KnownFinding", triage: "Triage") -> None:
    from halo_daemon.analyzer.finding_desk import own_name

    known = row.triage
    if (known.state, known.until) == (triage.state, triage.until) and (
        triage.note in {"", known.note}
    ):
        print_note(f"already_{triage.state}: {row.finding_id}")
        return
    desk.decide(row, triage.model_copy(update={"by": own_name()}), now=_now())
    print_note(f"{triage.state.replace('_', ' ')}: {row.finding_id} {printable(row.title)}")


def _set_state(
    desk: "FindingDesk", row: "KnownFinding", state: "FindingState", *, note: str
) -> None:
    from halo_daemon.analyzer.finding_desk import own_name
    from halo_daemon.findings import Triage

    if row.state == state and note in {"", row.history.resolved_in_version}:
        print_note(f"already_{state}: {row.finding_id}")
        return
    desk.set_state(row, state, Triage(note=note, by=own_name()), now=_now())
    print_note(f"{state}: {row.finding_id} {printable(row.title)}")


def _state_words(row: "KnownFinding") -> str:
    escalates = row.history.is_escalating and row.state != "resolved"
    return row.state.replace("_", " ") + (", escalating" if escalates else "")


def _document(row: "KnownFinding") -> dict[str, object]:
    return {
        "finding_id": row.finding_id,
        "title": row.title,
        "state": row.state,
        "escalating": row.history.is_escalating and row.state != "resolved",
        "triage": row.triage.model_dump(),
        "first_seen": row.history.first_seen or None,
        "last_seen": row.history.last_seen or None,
        "reports_seen": row.history.reports_seen,
        "finding": row.finding.model_dump(mode="json", by_alias=True) if row.finding else None,
    }


def _desks(
    ctx: typer.Context, project: str | None, config: ConfigOption, data: DataOption
) -> "list[FindingDesk]":
    from halo_daemon.analyzer.finding_desk import FindingDesk
    from halo_daemon.store.paths import DataPaths
    from halo_daemon.store.projects import find_project, list_projects

    root = data_dir(ctx, config, data)
    paths = DataPaths(root)
    projects = [find_project(paths, project)] if project else list_projects(paths)
    return [FindingDesk(root, stored.slug) for stored in projects]


def _found(
    ctx: typer.Context,
    finding: str,
    project: str | None,
    *,
    config: ConfigOption,
    data: DataOption,
) -> "tuple[FindingDesk, KnownFinding]":
    """The one finding of any project whose id begins so."""
    from halo_daemon.errors import StoreError, UnknownNameError

    now = _now()
    found = []
    failures: list[StoreError] = []
    for desk in _desks(ctx, project, config, data):
        try:
            found.append((desk, desk.find(finding, now)))
        except StoreError as exc:
            failures.append(exc)
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(desk.project for desk, _ in found)
        raise ConfigError(
            f"cannot tell which finding `{finding}` means: projects {names} have one",
            hint=f"add --project {found[0][0].project}",
        )
    told = [exc for exc in failures if not isinstance(exc, UnknownNameError)] or failures
    if len(told) == 1:
        raise told[0]
    raise UnknownNameError(f"cannot find a finding `{finding}`", hint="halo-daemon finding list")


def _now() -> str:
    import time

    from halo_daemon.proto.times import format_unix_ns

    return format_unix_ns(time.time_ns())


def _instant(text: str) -> str:
    """An instant in canonical form; empty for none."""
    import time

    from halo_daemon.proto.times import format_unix_ns

    return format_unix_ns(parse_instant(text, now_unix_ns=time.time_ns())) if text else ""


def _until(text: str) -> str:
    """A duration from now, an instant, or the word ``regressed``."""
    import time

    from halo_daemon.proto.times import format_unix_ns
    from halo_daemon.quantities import parse_duration_s

    if text == "regressed":
        return text
    now_unix_ns = time.time_ns()
    try:
        # What is "that long ago" elsewhere is "that long from now" here.
        return format_unix_ns(now_unix_ns + round(parse_duration_s(text) * 10**9))
    except ValueError:
        pass
    moment = parse_instant(text, now_unix_ns=now_unix_ns)
    if moment <= now_unix_ns:
        raise ConfigError(
            f"cannot mute until {text}: that is over", hint="write 7d, 2099-12-31 or regressed"
        )
    return format_unix_ns(moment)
