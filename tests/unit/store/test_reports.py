import contextlib
import shutil

import pytest

from halo_daemon.errors import StoreError
from halo_daemon.store.reports import ReportStore
from halo_daemon.testing.failing_disk import FailingDisk


@pytest.fixture
def reports(tmp_path) -> ReportStore:
    """The runs of one project, none yet."""
    return ReportStore(tmp_path, "default")


def test_before_the_first_run_there_is_nothing(reports):
    """No run, no latest, no previous report, and no error."""
    assert (reports.list(), reports.latest(), reports.previous_report()) == ([], None, None)


def test_the_latest_run_is_the_one_written_last(reports):
    """`latest` and `previous_report` follow each write; runs are listed newest first."""
    reports.write("2026-01-01T00", {"report.json": b"1", "findings/F-A.md": b"#"})
    run = reports.write("2026-01-02T00", {"report.json": b"2"})

    assert reports.list() == ["2026-01-02T00", "2026-01-01T00"]
    assert reports.latest() == run
    assert reports.previous_report() == b"2"


def test_files_of_a_running_analysis_stay(reports):
    """Writing the report keeps the run's journal, and the link is relative."""
    run = reports.run_directory("r1")
    run.mkdir(parents=True)
    (run / "journal.jsonl").write_bytes(b"{}")
    assert reports.list() == []

    reports.write("r1", {"report.json": b"1"})

    assert (run / "journal.jsonl").read_bytes() == b"{}"
    assert not (run.parent.parent / "latest").readlink().is_absolute()


def test_a_lost_link_is_no_loss(reports):
    """Without the link the newest complete run is the latest."""
    run = reports.write("r1", {"report.json": b"1"})
    (run.parent.parent / "latest").unlink()

    assert reports.latest() == run


def test_a_copy_that_followed_the_link_goes_on(reports):
    """A directory in the link's place costs the link, not the report, and is never the latest."""
    first = reports.write("r_1", {"report.json": b"1"})
    link = first.parent.parent / "latest"
    link.unlink()
    shutil.copytree(first, link)

    second = reports.write("r_2", {"report.json": b"2"})

    assert reports.latest() == second
    assert reports.previous_report() == b"2"
    assert [path.name for path in link.parent.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("name", ["../x", "/x", "", "a/../../x", "a\0"])
def test_names_stay_inside_the_run(reports, name):
    """A file name cannot leave the run's directory."""
    with pytest.raises(ValueError, match="is not a file name"):
        reports.write("r1", {name: b""})


@pytest.mark.parametrize("run_id", ["", ".", "..", "a/b", "../x", "x" * 200])
def test_run_ids_stay_inside_the_project(reports, run_id):
    """A run id cannot name another place."""
    with pytest.raises(ValueError, match="is not a run id"):
        reports.write(run_id, {"report.json": b""})


def test_any_one_failing_call_leaves_the_old_or_the_new_report(tmp_path):
    """Whichever system call fails, `latest` shows a whole report: the old or the new one."""
    ReportStore(tmp_path, "default").write("r1", {"a": b"old", "report.json": b"old"})
    failing = 0
    has_failed = True
    while has_failed:
        failing += 1
        disk = FailingDisk(failing)
        with contextlib.suppress(StoreError):
            ReportStore(tmp_path, "default", disk=disk).write(
                f"r{failing + 1}", {"a": b"new", "report.json": b"new"}
            )
        has_failed = disk.has_failed

        latest = ReportStore(tmp_path, "default").latest()
        assert latest is not None
        assert (latest / "a").read_bytes() == (latest / "report.json").read_bytes()
    assert failing > 5
