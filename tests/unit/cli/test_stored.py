"""The commands on stored traces, run as a user runs them, without a daemon."""

import contextlib
import json
import os
from pathlib import Path
from threading import Thread

import pytest
import typer
from typer.testing import CliRunner

from halo_daemon.cli import exporting, importing, project, store, tail, trace
from halo_daemon.errors import ConfigError, HaloError, QueryError, UnknownProjectError
from halo_daemon.proto.project import Project
from halo_daemon.store.disk import Disk
from halo_daemon.store.lock import DataLock
from halo_daemon.store.paths import DataPaths, day_of, shard_stem
from halo_daemon.store.projects import find_project, rename_project
from halo_daemon.store.receipts import encode_receipt
from halo_daemon.testing.failing_disk import FailingDisk
from halo_daemon.testing.spans import make_line, span_id_of, trace_id_of

NOW_NS = 1_788_000_000_000_000_000
ALL = ["--since", "2020-01-01"]

app = typer.Typer(pretty_exceptions_enable=False)
app.command("import")(importing.import_traces)
app.command("tail")(tail.tail)
app.add_typer(exporting.export_app, name="export")
app.add_typer(trace.app, name="trace")
app.add_typer(project.app, name="project")
app.add_typer(store.app, name="store")


@pytest.fixture
def data(tmp_path, monkeypatch) -> Path:
    """A data directory with one project of two traces; the configuration is the default."""
    for name in ("HALO_DAEMON_CONFIG", "XDG_CONFIG_HOME", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "data"
    day = DataPaths(root).project("default").day(day_of(NOW_NS))
    day.directory.mkdir(parents=True)
    lines = [
        make_line(
            trace_id=trace_id_of(1),
            span_id=span_id_of(1),
            name="run",
            attributes={"inference.session_id": "c"},
        ),
        make_line(
            trace_id=trace_id_of(1),
            span_id=span_id_of(2),
            parent_span_id=span_id_of(1),
            name="call",
            observation_kind="TOOL",
            status_code="STATUS_CODE_ERROR",
            attributes={"tool.name": "search", "output.value": 'say "hi"\nthere \x1b[31m'},
        ),
        make_line(trace_id=f"{2:032x}".replace("0", "a", 1), span_id=span_id_of(1), name="run"),
    ]
    stem = shard_stem(NOW_NS, worker=0, sequence=1)
    size_bytes = day.plain(stem).write_bytes(b"".join(lines))
    day.receipts(stem).write_bytes(encode_receipt(size_bytes, NOW_NS))
    return root


def run(data: Path, *arguments: str, fails: int = 0) -> str:
    """Run a command that must exit as said; returns its stdout."""
    result = CliRunner().invoke(app, [*arguments, "--data", str(data)])
    if isinstance(result.exception, HaloError):
        raise result.exception
    assert result.exit_code == fails, result.output
    return result.stdout


def test_traces_are_listed_as_rows_and_as_json(data):
    """In a pipe rows are tab-separated; JSON has a schema and the total."""
    rows = run(data, "trace", "list", *ALL).splitlines()
    document = json.loads(run(data, "trace", "list", *ALL, "--errors", "--json"))

    assert [len(row.split("\t")) for row in rows] == [6, 6]
    assert (document["schema"], document["total"]) == ("halo.traces/v1", 1)
    assert document["traces"][0]["trace_id"] == trace_id_of(1)


def test_a_tool_is_found_in_a_session_that_only_the_root_names(data):
    """Tool and session may stand on different spans of one trace."""
    found = json.loads(
        run(data, "trace", "list", *ALL, "--tool", "search", "--session", "c", "--json")
    )

    assert [trace["session_id"] for trace in found["traces"]] == ["c"]


def test_a_window_without_traces_is_empty(data):
    """What was received before the window is not in it."""
    assert run(data, "trace", "list", "--since", "2027-01-01", "--until", "2027-02-01") == ""


def test_a_trace_is_shown_by_the_beginning_of_its_id(data):
    """A row tells parent, kind, name and status; nothing drives the terminal."""
    tree = run(data, "trace", "show", "00000").splitlines()
    conversation = run(data, "trace", "show", "0000", "--conversation")
    raw = run(data, "trace", "show", "0000", "--raw").splitlines()

    cells = [line.split("\t") for line in tree]
    assert [(cell[1], *cell[2:5]) for cell in cells] == [
        ("-", "SPAN", "run", "ok"),
        (span_id_of(1), "TOOL", "call", "error"),
    ]
    assert 'say "hi"' in conversation
    assert "\x1b" not in conversation
    assert [json.loads(line)["name"] for line in raw] == ["run", "call"]


def test_a_trace_larger_than_the_bound_is_shown_and_exported_to_its_end(
    data, tmp_path, monkeypatch
):
    """`show` says what follows and goes on after it; an export has every span."""
    lines = [
        make_line(
            trace_id="e" * 32,
            span_id=span_id_of(n),
            start_unix_ns=NOW_NS + n,
            attributes={"input.value": "x" * 700_000},
        )
        for n in range(1, 4)
    ]
    day = DataPaths(data).project("default").day(day_of(NOW_NS))
    day.plain(shard_stem(NOW_NS, worker=1, sequence=9)).write_bytes(b"".join(lines))
    monkeypatch.setenv("HALO_DAEMON__STORAGE__MAX_ANSWER", "1500KiB")

    first = json.loads(run(data, "trace", "show", "eee", "--json"))
    rest = json.loads(
        run(data, "trace", "show", "eee", "--json", "--after", first["rest"]["after"])
    )
    run(data, "export", "halo", *ALL, "-o", str(tmp_path / "all.jsonl"))

    shown = [[span["span_id"] for span in part["spans"]] for part in (first, rest)]
    assert shown == [[span_id_of(1), span_id_of(2)], [span_id_of(3)]]
    assert (first["rest"]["spans"], rest["rest"]) == (1, None)
    assert len((tmp_path / "all.jsonl").read_bytes().splitlines()) == 6
    with pytest.raises(ConfigError, match="nothing follows"):
        run(data, "trace", "show", "eee", "--after", span_id_of(3))


@pytest.mark.parametrize("beginning", ["ffff", "xyz", ""])
def test_an_id_that_leads_nowhere_is_told(data, beginning):
    """Unknown and ambiguous beginnings are errors with a hint."""
    with pytest.raises(ConfigError, match=r"cannot find trace|is ambiguous") as caught:
        run(data, "trace", "show", beginning)

    assert caught.value.hint


def test_values_are_searched_as_people_write_them(data):
    """Quotes and line ends are found as themselves, with the path of the value."""
    document = json.loads(run(data, "trace", "search", r'say "hi"\nthere', *ALL, "--json"))

    (match,) = document["matches"]
    assert (match["where"], match["start_char"]) == ("attributes.output.value", 0)


def test_a_pattern_that_re2_refuses_is_told(data):
    """Look-around is refused with a hint, not a traceback."""
    with pytest.raises(QueryError, match="cannot search") as caught:
        run(data, "trace", "search", "(?=x)", *ALL)

    assert "look-around" in caught.value.hint


def test_two_traces_are_compared_step_by_step(data):
    """Different traces exit 1 and show what differs; a trace equals itself."""
    different = run(data, "trace", "diff", "000", "a00", fails=1).splitlines()
    same = run(data, "trace", "diff", "000", "000").splitlines()

    assert different == ["  SPAN run", "-   TOOL call (error)"]
    assert len(same) == 2


def test_projects_are_listed_and_shown(data):
    """Without a description the slug is the name."""
    assert run(data, "project", "list").split("\t")[0] == "default"
    shown = json.loads(run(data, "project", "show", "default", "--json"))
    assert (shown["traces"], shown["spans"], shown["tools"]) == (2, 3, ["search"])


def test_a_project_is_deleted_only_when_asked(data):
    """Without a terminal and --yes nothing is deleted; a running daemon is respected."""
    with pytest.raises(ConfigError, match="unasked"):
        run(data, "project", "delete", "default")
    with DataLock(DataPaths(data)), pytest.raises(HaloError, match="has it open"):
        run(data, "project", "delete", "default", "--yes")

    run(data, "project", "delete", "default", "--yes")

    assert run(data, "project", "list") == ""


def test_an_export_imports_again(data, tmp_path):
    """What was exported comes in under another project, with the same traces."""
    path = tmp_path / "out.jsonl"
    run(data, "export", "otlp-json", *ALL, "-o", str(path))
    summary = json.loads(run(data, "import", "otlp", str(path), "--project", "copy", "--json"))
    again = json.loads(run(data, "import", "otlp", str(path), "--project", "copy", "--json"))
    shown = json.loads(run(data, "project", "show", "copy", "--json"))

    assert summary["accepted_spans"] == again["accepted_spans"] == 3
    assert (shown["traces"], shown["spans"], shown["duplicate_spans"]) == (2, 3, 3)
    exported = run(data, "trace", "export", "halo", *ALL, "--project", "default")
    assert len(exported.splitlines()) == 3


def test_a_dry_run_stores_nothing(data, tmp_path):
    """Counts are printed, and the data directory stays as it is."""
    path = tmp_path / "out.jsonl"
    run(data, "export", "halo", *ALL, "-o", str(path))

    printed = run(data, "import", "halo", str(path), "--project", "new", "--dry-run")

    assert printed == "new\t3 spans would be stored\n"
    assert run(data, "project", "list").count("\n") == 1


def test_one_trace_is_exported_for_trace_viewers(data):
    """The Chrome trace holds every span of the one trace."""
    document = json.loads(run(data, "export", "chrome-trace", "0000"))

    spans = [event for event in document["traceEvents"] if event["ph"] == "X"]
    assert [event["name"] for event in spans] == ["run", "call"]


def test_the_store_is_verified_repaired_and_indexed(data):
    """A flipped letter is found, and exits 1; repair builds the index anew."""
    run(data, "store", "verify")
    (shard,) = data.rglob("*.jsonl")
    shard.write_bytes(shard.read_bytes().replace(b'"call"', b'"cull"'))
    document = json.loads(run(data, "store", "verify", "--json", fails=1))
    run(data, "store", "repair")

    assert [damage["kind"] for damage in document["damage"]] == ["altered_line"]
    run(data, "store", "verify")
    run(data, "store", "reindex")
    (stats,) = json.loads(run(data, "store", "stats", "--json"))["projects"]
    assert (stats["traces"], stats["spans"]) == (2, 3)


def test_repair_says_when_there_was_nothing_to_repair(data):
    """Whole shards are called whole; what was mended is named."""
    arguments = ["store", "repair", "--data", str(data)]
    whole = CliRunner().invoke(app, arguments).stderr
    (shard,) = data.rglob("*.jsonl")
    with shard.open("ab") as file:
        file.write(b"{half a line")
    mended = CliRunner().invoke(app, arguments).stderr

    assert "no shard was damaged" in whole
    assert "12 bytes" in mended
    assert "repaired" in mended


def test_a_lost_table_is_told_and_mended(data):
    """A compressed shard with a cut tail is read, exits 1 in verify, and is whole after repair."""
    run(data, "store", "compact", "--older-than", "0s")
    (shard,) = data.rglob("*.jsonl.zst")
    shard.write_bytes(shard.read_bytes()[:-3])

    assert len(run(data, "trace", "list", *ALL).splitlines()) == 2
    document = json.loads(run(data, "store", "verify", "--json", fails=1))
    run(data, "store", "repair")

    assert [damage["kind"] for damage in document["damage"]] == ["lost_table"]
    run(data, "store", "verify")


def test_the_store_is_compacted_copied_and_pruned(data, tmp_path):
    """Answers stay through compression, backup and restore; pruning asks first."""
    run(data, "store", "compact", "--older-than", "0s")
    run(data, "store", "backup", str(tmp_path / "copy"))
    run(tmp_path / "new", "store", "restore", str(tmp_path / "copy"))
    assert len(run(tmp_path / "new", "trace", "list", *ALL).splitlines()) == 2

    with pytest.raises(ConfigError, match="unasked"):
        run(data, "store", "prune", "--max-traces", "0")
    with pytest.raises(ConfigError, match="without a limit"):
        run(data, "store", "prune")
    run(data, "store", "prune", "--max-traces", "1", "--yes")

    assert len(run(data, "trace", "list", *ALL).splitlines()) == 1


def test_several_projects_need_a_name(data):
    """With two projects a command asks which; an unknown one is told."""
    (data / "projects" / "other").mkdir()

    with pytest.raises(ConfigError, match=r"cannot choose a project.*default, other"):
        run(data, "trace", "list")
    with pytest.raises(UnknownProjectError, match="`nope`"):
        run(data, "trace", "list", "--project", "nope")


def test_fields_are_chosen_and_a_wrong_one_is_told(data):
    """Fields come in the order asked for, in both forms; an unknown one names the nearest."""
    rows = run(data, "trace", "list", *ALL, "--fields", "spans,trace_id").splitlines()
    document = json.loads(run(data, "project", "list", "--json", "--fields", "slug"))

    assert [len(row.split("\t")) for row in rows] == [2, 2]
    assert document == {"schema": "halo.projects/v1", "projects": [{"slug": "default"}]}
    with pytest.raises(ConfigError, match="did you mean `trace_id`"):
        run(data, "trace", "list", *ALL, "--fields", "trace_ids")


def test_spans_are_found_by_a_condition(data):
    """A condition on fields answers like a pattern, with what was left out."""
    document = json.loads(run(data, "trace", "search", "tool~sea and status=error", *ALL, "--json"))

    (match,) = document["matches"]
    assert (match["tool"], match["span_id"], document["is_cut"]) == (
        "search",
        span_id_of(2),
        False,
    )


def test_projects_are_made_and_renamed(data):
    """A second time nothing is done and said so; what a project holds goes with it."""
    assert run(data, "project", "create", "My Shop") == "my-shop\n"
    assert run(data, "project", "create", "my shop") == "already_exists my-shop\n"
    assert run(data, "project", "rename", "default", "Support Bot") == "support-bot\n"
    assert run(data, "project", "rename", "support-bot", "Support Bot").startswith("already_named")
    with pytest.raises(HaloError, match="that one exists"):
        run(data, "project", "rename", "support-bot", "my shop")
    with DataLock(DataPaths(data)), pytest.raises(HaloError, match="has it open"):
        run(data, "project", "rename", "support-bot", "x")

    shown = json.loads(run(data, "project", "show", "support-bot", "--json"))
    assert (shown["name"], shown["traces"]) == ("Support Bot", 2)
    assert run(data, "trace", "list", "--project", "support-bot", *ALL).count("\n") == 2


@pytest.mark.parametrize("call", range(1, 6))
def test_a_rename_that_stops_anywhere_is_completed_by_the_next(data, call):
    """Whichever call to the disk fails, all traces stay in one project and a retry ends it."""
    paths, new = DataPaths(data), Project("bot", "Bot")
    with contextlib.suppress(OSError):
        rename_project(FailingDisk(call), paths, find_project(paths, "default"), new)

    (slug,) = paths.slugs()
    rename_project(Disk(), paths, find_project(paths, slug), new)

    assert (paths.slugs(), find_project(paths, "bot").name) == (["bot"], "Bot")
    assert run(data, "trace", "list", *ALL).count("\n") == 2


def test_an_unknown_project_names_the_nearest(data):
    """A slip of the hand is answered with what was meant."""
    with pytest.raises(UnknownProjectError) as caught:
        run(data, "project", "show", "defualt")

    assert caught.value.hint == "did you mean `default`?"


def test_exports_mask_secrets_unless_told_otherwise(data, tmp_path):
    """Keys and passwords do not leave; ids, times and everything else do, unchanged."""
    secret = "AKIA" + "ABCDEFGHIJKLMNOP"
    path = tmp_path / "in.jsonl"
    path.write_bytes(make_line(attributes={"output.value": f"key {secret}", "n": 4}))
    run(data, "import", "halo", str(path), "--project", "p")

    masked = run(data, "export", "halo", *ALL, "--project", "p")
    whole = run(data, "export", "halo", *ALL, "--project", "p", "--unmasked")

    assert secret in whole
    assert masked == whole.replace(secret, "[redacted:aws-key]")


def test_an_export_says_where_it_comes_from(data, tmp_path):
    """Beside the lines stands what they are; the same export twice gives the same bytes."""
    path = tmp_path / "out.jsonl"
    window = ["--since", "2020-01-01", "--until", "2030-01-01"]
    run(data, "export", "otlp-json", *window, "-o", str(path))
    first = path.read_bytes()
    provenance = (tmp_path / "out.jsonl.provenance.json").read_bytes()

    run(data, "export", "otlp-json", *window, "-o", str(path))

    assert path.read_bytes() == first
    assert (tmp_path / "out.jsonl.provenance.json").read_bytes() == provenance
    assert json.loads(provenance)["spans"] == 3
    assert [one.name for one in tmp_path.glob(".*partial")] == []


def test_an_empty_id_names_no_trace(data, tmp_path):
    """Also where the project has one trace only, of which every id is the beginning."""
    path = tmp_path / "in.jsonl"
    path.write_bytes(make_line())
    run(data, "import", "halo", str(path), "--project", "lone")

    with pytest.raises(ConfigError, match="id is empty"):
        run(data, "trace", "show", "", "--project", "lone")


def test_an_export_to_a_pipe_or_a_device_leaves_it_what_it_is(data, tmp_path):
    """What is no file is written to: nothing takes its place, and nothing appears beside it."""
    pipe = tmp_path / "pipes" / "out"
    pipe.parent.mkdir()
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()

    run(data, "export", "halo", *ALL, "-o", str(pipe))
    reader.join(30)

    assert pipe.is_fifo()
    assert [len(whole.splitlines()) for whole in read] == [3]
    assert [entry.name for entry in pipe.parent.iterdir()] == ["out"]


def test_an_export_to_a_link_writes_the_file_that_it_names(data, tmp_path):
    """The link stays, and what the lines are stands beside the file."""
    there = tmp_path / "there"
    there.mkdir()
    link = tmp_path / "link.jsonl"
    link.symlink_to(there / "out.jsonl")

    run(data, "export", "halo", *ALL, "-o", str(link))

    assert link.is_symlink()
    assert sorted(entry.name for entry in there.iterdir()) == [
        "out.jsonl",
        "out.jsonl.provenance.json",
    ]


@pytest.mark.parametrize(
    ("secrets", "stored", "is_kept"),
    [
        ("mask", "use [redacted:api-key]", True),
        ("hash", "use [redacted:api-key#", True),
        ("drop", "use [redacted:api-key]", False),
    ],
)
def test_an_import_takes_out_what_the_configuration_says(data, tmp_path, secrets, stored, is_kept):
    """Secrets and dropped attributes of a file are not stored, as when they came by the port."""
    config = tmp_path / "redaction.yaml"
    config.write_text(f"redaction: {{secrets: {secrets}, drop_attributes: ['private.*']}}\n")
    key = "sk-proj-" + "a1" * 20
    line = make_line(name=f"use {key}", attributes={"private.note": "mine", "kept": key})
    file = tmp_path / "lines.jsonl"
    file.write_bytes(line)

    run(data, "import", "halo", str(file), "--project", "redacted", "--config", str(config))
    shown = run(data, "export", "halo", "--project", "redacted", "--unmasked", "--since", "1h")

    assert stored in shown
    assert key not in shown
    assert "private.note" not in shown
    assert ('"kept"' in shown) is is_kept
