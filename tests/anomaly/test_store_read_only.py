"""A data directory that cannot be written is read in place, and what that takes is left nowhere."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from halo_daemon.store.paths import DataPaths, day_of, shard_stem
from halo_daemon.store.query import TraceQuery
from halo_daemon.store.query_engine import LocalQueries
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.scratch import is_read_only
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.spans import make_line, span_id_of, trace_id_of

EVERYTHING = Window(0, 2**62)
TRACES = 7
NOW = time.time_ns()


@pytest.fixture
def data(tmp_path) -> Path:
    """A data directory with one project and no index."""
    root = tmp_path / "data"
    day = DataPaths(root).project("shop").day(day_of(NOW))
    day.directory.mkdir(parents=True)
    lines = [
        make_line(
            trace_id=trace_id_of(number + 1), span_id=span_id_of(number + 1), start_unix_ns=NOW
        )
        for number in range(TRACES)
    ]
    day.plain(shard_stem(NOW, worker=0, sequence=1)).write_bytes(b"".join(lines))
    return root


@pytest.fixture
def mounted(tmp_path, data) -> Iterator[Path]:
    """The same directory where no write succeeds; whoever is root needs a mount for that."""
    if os.geteuid() != 0:
        yield from _without_permission(data)
        return
    place = tmp_path / "read-only"
    place.mkdir()
    steps = (["--bind", data, place], ["-o", "remount,ro,bind", place])
    try:
        for step in steps:
            subprocess.run(["mount", *step], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        subprocess.run(["umount", place], check=False, capture_output=True)
        pytest.skip("root may write everywhere, and nothing can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=False, capture_output=True)


def _without_permission(data: Path) -> Iterator[Path]:
    directories = [data, *(path for path in data.rglob("*") if path.is_dir())]
    for path in directories:
        path.chmod(0o555)
    yield data
    for path in directories:
        path.chmod(0o755)


def files_of(root: Path) -> list[Path]:
    """Every file below a directory."""
    return sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())


def run(tmp_path: Path, root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command with a directory for temporary files of its own."""
    temporary = tmp_path / "temporary"
    temporary.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(temporary)}
    environment.pop("_HALO_DAEMON_SCRATCH", None)
    return subprocess.run(
        [sys.executable, "-m", "halo_daemon", *command, "--data", str(root)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_readers_answer_from_a_directory_that_cannot_be_written(data, mounted):
    """Every trace is listed, loaded and queried, by two readers at once; no file is added."""
    before = files_of(data)
    reader = LocalTraceReader(mounted, "shop", settle_s=0, now_unix_ns=lambda: NOW)
    queries = LocalQueries(mounted, "shop", now_unix_ns=lambda: NOW, now_monotonic_s=time.monotonic)

    listed = {trace.trace_id for trace in reader.list_traces(EVERYTHING)}
    loaded = {trace.trace_id for trace in reader.iter_traces(EVERYTHING)}
    page = queries.query_traces(EVERYTHING, TraceQuery(with_names=True))
    reader.close()
    queries.close()

    expected = {trace_id_of(number + 1) for number in range(TRACES)}
    assert listed == loaded == {trace.trace_id for trace in page.traces} == expected
    assert files_of(data) == before


def test_an_index_that_is_there_is_gone_on_with(data, mounted):
    """A copy of the project's own index is used, and what came after it is indexed."""
    if os.geteuid() != 0:
        pytest.skip("the directory is writable to root alone")
    first = LocalTraceReader(data, "shop", settle_s=0, now_unix_ns=lambda: NOW)
    first.overview(EVERYTHING)
    first.close()
    day = DataPaths(data).project("shop").day(day_of(NOW))
    late = make_line(trace_id=trace_id_of(500), span_id=span_id_of(1), start_unix_ns=NOW)
    day.plain(shard_stem(NOW, worker=0, sequence=2)).write_bytes(late)
    reader = LocalTraceReader(mounted, "shop", settle_s=0, now_unix_ns=lambda: NOW)

    overview = reader.overview(EVERYTHING)
    (copy,) = reader._index.days
    with sqlite3.connect(day.index) as original:
        (identity,) = original.execute("SELECT value FROM meta WHERE key = 'identity'").fetchone()
    original.close()
    reader.close()

    assert overview.traces == TRACES + 1
    assert copy.file == f"{day.day}/{identity}"


def test_traces_of_several_days_are_answered_from_a_copy_of_their_index(data, mounted):
    """Their index is gone on with like those of days, and each of them is one trace."""
    if os.geteuid() != 0:
        pytest.skip("the directory is writable to root alone")
    project = DataPaths(data).project("shop")
    before = NOW - 86_400 * 10**9
    day = project.day(day_of(before))
    day.directory.mkdir()
    early = make_line(trace_id=trace_id_of(1), span_id=span_id_of(900), start_unix_ns=before)
    day.plain(shard_stem(before, worker=0, sequence=1)).write_bytes(early)
    first = LocalTraceReader(data, "shop", settle_s=0, now_unix_ns=lambda: NOW)
    expected = first.overview(EVERYTHING)
    files = [index.file for index in first._index.merged]
    first.close()
    reader = LocalTraceReader(mounted, "shop", settle_s=0, now_unix_ns=lambda: NOW)

    overview = reader.overview(EVERYTHING)
    copies = [index.file for index in reader._index.merged]
    trace = reader.load_trace(trace_id_of(1))
    reader.close()

    assert overview == expected
    assert copies == files != []
    assert trace is not None
    assert [span.span_id for span in trace.spans] == [span_id_of(900), span_id_of(1)]


@pytest.mark.parametrize(
    "command",
    [
        ("trace", "list", "--json"),
        ("trace", "show", trace_id_of(3)),
        ("trace", "search", "nothing like it"),
        ("store", "verify"),
        ("store", "stats"),
        ("analyze", "--project", "shop", "--format", "json"),
    ],
    ids=" ".join,
)
def test_commands_read_in_place_and_leave_nothing(tmp_path, data, mounted, command):
    """A reading command succeeds, says on stderr that its index is elsewhere, and removes it."""
    before = files_of(data)

    done = run(tmp_path, mounted, *command)

    assert done.returncode == 0, done.stderr
    assert "index_elsewhere" in done.stderr
    assert files_of(data) == before
    assert not [*(tmp_path / "temporary").iterdir()]


def test_throwing_an_index_away_that_cannot_be_written_is_an_error_with_a_name(tmp_path, mounted):
    """`store reindex` says what it cannot do, and does not pretend."""
    done = run(tmp_path, mounted, "store", "reindex")

    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "`shop`" in done.stderr


def test_a_report_of_what_cannot_be_written_goes_to_the_named_file(tmp_path, mounted):
    """`analyze --output` writes the whole report where it was told to."""
    output = tmp_path / "report.json"

    done = run(
        tmp_path, mounted, "analyze", "--project", "shop", "--format", "json", "-o", str(output)
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(output.read_text())["dataset"]["traces"] == TRACES
    assert "not stored" in done.stderr


def test_a_directory_that_is_yet_to_be_made_is_judged_by_what_holds_it(tmp_path, mounted):
    """What is missing can be made where its nearest directory can be written."""
    assert not is_read_only(tmp_path / "a" / "b")
    assert is_read_only(mounted / "a" / "b")
