"""`halo-daemon analyze` beside a daemon and without one."""

import json
import shutil
import subprocess
import sys
import time

import pytest

from halo_daemon.demo.agents import AGENTS, generate
from halo_daemon.demo.export import export
from halo_daemon.quantities import parse_endpoint
from halo_daemon.testing.daemon import DaemonProcess


def _analyze(data, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "halo_daemon", "analyze", "--data", str(data), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data directory with two of the sample agents; the daemon has stopped."""
    data = tmp_path_factory.mktemp("analyze") / "data"
    generated = [generate(agent, now_unix_ns=time.time_ns(), traces=12) for agent in AGENTS[:2]]
    with DaemonProcess(data) as daemon:
        export(generated, grpc=parse_endpoint(daemon.grpc), http=parse_endpoint(daemon.http))
    return data


def test_every_project_of_the_window_gets_a_report(data):
    """Without --project the JSON is a list, one report object for each project."""
    run = _analyze(data, "--since", "1h", "--format", "json")

    reports = json.loads(run.stdout)
    assert run.returncode == 0
    assert [report["project"] for report in reports] == ["research", "support-bot"]
    assert {report["schema_version"] for report in reports} == {"halo.report/1"}
    assert [report["dataset"]["traces"] for report in reports] == [12, 12]


def test_a_project_that_cannot_be_read_costs_the_others_nothing(data, tmp_path):
    """The reports of the others are printed and stored; the error comes last, with its hint."""
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    first, *others = sorted(path.name for path in (copy / "projects").iterdir())
    ledger = copy / "projects" / first / "findings.jsonl"
    ledger.unlink(missing_ok=True)
    ledger.mkdir()

    done = _analyze(copy, "--format", "json")

    assert done.returncode == 1, done.stderr
    assert [json.loads(done.stdout)["project"]] == others, done.stderr
    assert f"cannot read the ledger {ledger}" in done.stderr


def test_one_project_is_one_object_in_a_file(data, tmp_path):
    """-o FILE holds one report object for one project, and the run stays on disk."""
    path = tmp_path / "report.json"

    run = _analyze(data, "--project", "Support-Bot", "--format", "json", "-o", str(path))

    report = json.loads(path.read_text())
    assert run.returncode == 0
    assert run.stdout == ""
    assert report["project"] == "support-bot"
    latest = data / "projects" / "support-bot" / "latest"
    assert {each.name for each in latest.iterdir()} >= {"report.html", "report.json", "report.md"}


def test_the_window_selects_by_receipt_unless_told(data):
    """Sample runs began hours before they were received: --by start sees them elsewhere."""
    by_receipt = _analyze(data, "--since", "5m", "--project", "research", "--format", "json")
    by_start = _analyze(
        data, "--since", "5m", "--by", "start", "--project", "research", "--format", "json"
    )

    assert json.loads(by_receipt.stdout)["dataset"]["traces"] == 12
    assert json.loads(by_start.stdout)["dataset"]["traces"] == 0


def test_an_empty_window_is_said_loudly(data):
    """No spans at all is a note on stderr and an empty list, not a silent success."""
    run = _analyze(data, "--since", "7d", "--until", "6d", "--format", "json")

    assert run.returncode == 0
    assert json.loads(run.stdout) == []
    assert "no spans" in run.stderr


def test_a_window_of_one_project_without_traces_is_a_report(data):
    """A named project gets its report even when the window holds nothing of it."""
    run = _analyze(
        data, "--since", "7d", "--until", "6d", "--project", "research", "--format", "json"
    )

    report = json.loads(run.stdout)
    assert report["dataset"]["traces"] == 0
    assert report["findings"] == []


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        pytest.param(["--project", "nobody"], 2, "nobody", id="unknown-project"),
        pytest.param(["--since", "soon"], 2, "soon", id="not-an-instant"),
        pytest.param(["--since", "1h", "--until", "2h"], 2, "empty", id="empty-window"),
        pytest.param(["--format", "xml"], 2, "xml", id="unknown-format"),
        pytest.param(["-o", "/nonexistent/x.json"], 1, "/nonexistent", id="unwritable"),
    ],
)
def test_mistakes_are_explained(data, arguments, status, said):
    """Each mistake names itself on stderr and has its exit status."""
    run = _analyze(data, *arguments)

    assert run.returncode == status
    assert said in run.stderr


def test_the_same_spans_give_the_same_findings(data):
    """Two runs over one window differ in run and engine only."""
    window = ("--since", "2026-01-01", "--until", "now", "--project", "support-bot")
    first, second = (
        json.loads(_analyze(data, *window, "--format", "json").stdout) for _ in range(2)
    )

    def essence(report):
        findings = [
            {key: finding[key] for key in ("finding_id", "counts", "evidence", "severity", "cost")}
            for finding in report["findings"]
        ]
        return findings, report["traces"], report["coverage"]

    assert essence(first) == essence(second)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        pytest.param([], 0, id="no-gate"),
        pytest.param(["--fail-on", "low"], 3, id="findings-at-the-gate"),
        pytest.param(["--fail-on", "critical"], 0, id="nothing-at-the-gate"),
    ],
)
def test_the_gate_decides_the_exit_status(data, arguments, status):
    """Findings at or above --fail-on exit 3, so that a pipeline can stop."""
    run = _analyze(data, "--project", "support-bot", *arguments)

    assert run.returncode == status


def test_one_finding_is_looked_for_without_keeping_a_report(data):
    """--finding shows one finding by the beginning of its id, exits 3, and stores nothing."""
    report = json.loads(_analyze(data, "--project", "support-bot", "--format", "json").stdout)
    runs = data / "projects" / "support-bot" / "runs"
    before = sorted(runs.iterdir())
    wanted = report["findings"][0]["finding_id"]

    seen = _analyze(data, "--finding", wanted[:8], "--project", "support-bot", "--format", "json")
    unseen = _analyze(data, "--finding", "F-000000000000", "--project", "support-bot")

    assert [each["finding_id"] for each in json.loads(seen.stdout)["findings"]] == [wanted]
    assert (seen.returncode, unseen.returncode) == (3, 0)
    assert sorted(runs.iterdir()) == before


def test_the_second_night_knows_the_first(data):
    """Findings of the run before are ongoing, with the time they were first seen."""
    first, second = (
        json.loads(_analyze(data, "--project", "research", "--format", "json").stdout)
        for _ in range(2)
    )

    assert {each["state"] for each in second["findings"]} <= {"ongoing"}
    assert second["previous_report_id"] == first["report_id"]


@pytest.mark.parametrize("output_format", ["sarif", "junit"])
def test_machines_get_one_document_for_one_project(data, output_format):
    """SARIF and JUnit are written for one project and refused for several."""
    one = _analyze(data, "--project", "support-bot", "--format", output_format)
    several = _analyze(data, "--format", output_format)

    assert one.returncode == 0
    assert one.stdout
    assert several.returncode == 2


def test_a_model_without_a_key_is_a_configuration_error(data, monkeypatch):
    """On demand a missing key is said at once; nothing is sent anywhere."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)

    run = _analyze(data, "--engine", "llm", "--project", "research")

    assert run.returncode == 2
    assert "key" in run.stderr


def test_an_accepted_finding_passes_the_gate(data, tmp_path):
    """With a baseline of the report before, the gate looks at what is new only."""
    baseline = tmp_path / "baseline.json"
    _analyze(data, "--project", "support-bot")
    command = [sys.executable, "-m", "halo_daemon", "report", "baseline", "--data", str(data)]
    subprocess.run(
        [*command, "--project", "support-bot", "--reason", "known", "-o", str(baseline)],
        check=True,
    )

    gate = ("--project", "support-bot", "--fail-on", "low")

    assert _analyze(data, *gate).returncode == 3
    assert _analyze(data, *gate, "--baseline", str(baseline)).returncode == 0


def test_a_sample_says_what_it_is_and_is_no_measure_for_the_next(data, tmp_path):
    """--max-traces is stated in the report, and the next report is held against the one before."""
    copy = tmp_path / "data"
    shutil.copytree(data, copy, symlinks=True)
    options = ("--project", "research", "--since", "1h", "--format", "json")
    first, sample, last = (
        json.loads(_analyze(copy, *options, *more).stdout)
        for more in ((), ("--max-traces", "4"), ())
    )

    assert sample["coverage"]["sample"] == {"traces": 4, "of": 12, "max_traces": 4}
    assert sample["dataset"]["traces"] == 4
    assert sample["repro"]["command"].endswith("--max-traces 4")
    assert last["coverage"]["sample"] is None
    assert last["previous_report_id"] == first["report_id"]


def test_a_night_without_traces_is_no_measure_for_the_next(data, tmp_path):
    """What is new, and what rates were, is told against the last window that held anything."""
    copy = tmp_path / "data"
    shutil.copytree(data, copy, symlinks=True)
    options = ("--project", "research", "--format", "json")
    first, empty, last = (
        json.loads(_analyze(copy, *options, *window).stdout)
        for window in (("--since", "1h"), ("--since", "3d", "--until", "2d"), ("--since", "1h"))
    )

    assert empty["dataset"]["traces"] == 0
    assert last["previous_report_id"] == first["report_id"]


def test_a_look_for_one_finding_where_nothing_ran_is_no_proof_of_a_fix(data):
    """Without a trace in the window the command fails, instead of saying that it is gone."""
    window = ("--since", "3d", "--until", "2d")

    for project in (("--project", "research"), ()):
        done = _analyze(data, "--finding", "F-000000000000", *window, *project)

        assert done.returncode == 1
        assert "cannot tell whether `F-000000000000` is gone" in done.stderr


def test_a_look_for_one_finding_says_where_it_was_not_seen(data, tmp_path):
    """Not what became of others, but in how many traces it could have been seen."""
    copy = tmp_path / "data"
    shutil.copytree(data, copy, symlinks=True)
    options = ("--project", "support-bot", "--since", "1h")
    (copy / "projects" / "support-bot" / "findings.jsonl").unlink(missing_ok=True)
    report = json.loads(_analyze(copy, *options, "--format", "json").stdout)
    found = report["findings"][0]["finding_id"]
    ledger = copy / "projects" / "support-bot" / "findings.jsonl"
    ledger.write_text(ledger.read_text().replace(found, "F-000000000000"))

    said = " ".join(_analyze(copy, *options, "--finding", "F-0000").stdout.split())

    assert said.startswith("F-000000000000 was not seen: 12 traces examined, 0 of ")
    assert "since it was last seen; chance of that had nothing changed: " in said


def test_a_question_needs_a_model(data):
    """--question without --engine llm is a usage error that says what to add."""
    done = _analyze(data, "--question", "why do refunds fail?")

    assert done.returncode == 2
    assert "--engine llm" in done.stderr
