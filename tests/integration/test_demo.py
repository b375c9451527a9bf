"""The demo as a new user starts it."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from halo_daemon.demo.catalogue import CATALOGUE
from halo_daemon.findings import from_json

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """What one run of the demo printed, and its reports by project."""
    home = tmp_path_factory.mktemp("demo")
    (home / "halo-daemon.yaml").write_text("not: [valid\n")
    run = subprocess.run(
        [sys.executable, "-m", "halo_daemon", "demo", "--exit"],
        capture_output=True,
        text=True,
        cwd=home,
        env={
            **os.environ,
            "TMPDIR": str(home),
            "OTEL_SDK_DISABLED": "true",
            "OTEL_EXPORTER_OTLP_HEADERS": "x-project-name=wrong",
            "HALO_DAEMON__NONSENSE": "1",
        },
        timeout=300,
        check=False,
    )
    paths = [Path(match) for match in re.findall(r"Report +(\S+report\.html)", run.stdout)]
    reports = [from_json(path.with_name("report.json").read_bytes()) for path in paths]
    return run, {report.project: report for report in reports}


def test_the_demo_ends_with_reports_on_disk(demo):
    """It exits 0 whatever the user's own environment says, and its reports exist."""
    run, reports = demo

    assert run.returncode == 0, run.stderr
    assert sorted(reports) == ["coder", "research", "support-bot"]


def _matches(entry, finding):
    return f":{entry.rule}@" in finding.source and (not entry.tool or entry.tool in finding.title)


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: f"{entry.project}-{entry.mode}")
def test_the_demo_names_every_injected_failure(demo, entry):
    """Each failure that was put in is found by its rule, in exactly the runs that hold it."""
    _, reports = demo

    found = [row for row in reports[entry.project].findings if _matches(entry, row)]

    assert sum(row.counts.affected_traces for row in found) == entry.affected_traces


def test_the_demo_finds_nothing_else(demo):
    """Every finding is an injected failure, and every quote was found."""
    _, reports = demo

    extra = [
        finding.title
        for project, report in reports.items()
        for finding in report.findings
        if not any(entry.project == project and _matches(entry, finding) for entry in CATALOGUE)
    ]

    assert extra == []
    assert [report.unverified_claims for report in reports.values()] == [(), (), ()]


def test_the_printed_table_shows_each_finding(demo):
    """What is printed names the same findings as the reports."""
    run, reports = demo

    printed = re.findall(r"F-[0-9A-Z]{4,}", run.stdout)

    assert len(set(printed)) == sum(len(report.findings) for report in reports.values())


def test_without_exit_the_demo_stays_until_ctrl_c(tmp_path):
    """The daemon goes on receiving after the report; Ctrl-C ends it and removes its data."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "halo_daemon", "demo", "--no-open"],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        # What a shell runs in the background is started with Ctrl-C ignored, and so are we then.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 -- no thread runs in the child
    )
    with process, ExitStack() as ended:
        ended.callback(process.terminate)
        printed = ""
        for line in process.stdout:
            printed += line
            if "Ctrl-C to stop" in line:
                break

        address = re.search(r"OTLP HTTP +(\S+)/v1/traces", printed)[1]
        with urllib.request.urlopen(f"{address}/healthz") as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)

        assert process.wait(300) == 130
        assert list(tmp_path.iterdir()) == []
