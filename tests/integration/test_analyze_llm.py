"""`analyze --engine llm` as a process, against a scripted model server."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from halo_daemon.demo.agents import AGENTS, generate
from halo_daemon.demo.export import export
from halo_daemon.quantities import parse_endpoint
from halo_daemon.testing.daemon import DaemonProcess
from halo_daemon.testing.scripted_model import ScriptedModelServer
from halo_daemon.testing.scripted_replies import error, ok

pytestmark = pytest.mark.slow

ANSWER = ok("", ("final_answer", {"answer": "Refunds fail because they were made before."}))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data directory with one sample agent."""
    data = tmp_path_factory.mktemp("llm") / "data"
    with DaemonProcess(data) as daemon:
        generated = [generate(AGENTS[0], now_unix_ns=time.time_ns())]
        export(generated, grpc=parse_endpoint(daemon.grpc), http=parse_endpoint(daemon.http))
    return data


def _analyze(data, server, *arguments):
    command = [sys.executable, "-m", "halo_daemon", "analyze", "--data", str(data)]
    return subprocess.run(
        [*command, "--engine", "llm", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "sk-test-1"},
    )


def test_the_model_reads_the_rules_findings_and_ends(data):
    """The rules run first, the model is asked, and the report says what it used."""
    with ScriptedModelServer((ok("", ("get_findings", {})), ANSWER)) as server:
        run = _analyze(data, server, "--format", "json")

    report = json.loads(run.stdout)
    assert run.returncode == 0, run.stderr
    assert report["engine"]["mode"] == "llm"
    assert report["engine"]["status"] == "complete"
    assert report["engine"]["tokens"]["input"] > 0
    assert report["findings"]
    assert "issue_refund" in json.dumps(server.requests[1].messages)


def test_the_journal_stands_beside_the_report(data):
    """Each step of the model is kept in the run's directory."""
    with ScriptedModelServer((ANSWER,)) as server:
        report = json.loads(_analyze(data, server, "--format", "json").stdout)

    run = data / "projects" / "support-bot" / "runs" / report["report_id"]
    assert (run / report["engine"]["run_log"]).stat().st_size > 0


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        pytest.param((error(401, "no such key"),), "auth", id="refused-key"),
        pytest.param((error(400, "no such model"),), "provider", id="refused-request"),
    ],
)
def test_the_report_is_complete_whatever_the_model_does(data, script, reason):
    """A model that fails leaves the rules' findings, marked partial with the reason."""
    with ScriptedModelServer(script) as server:
        run = _analyze(data, server, "--format", "json")

    report = json.loads(run.stdout)
    assert report["findings"]
    assert (report["engine"]["status"], report["engine"]["reason"]) == ("partial", reason)


def test_a_dry_run_sends_nothing(data):
    """--dry-run says what would be sent, and no request is made."""
    with ScriptedModelServer(()) as server:
        run = _analyze(data, server, "--dry-run")

        assert run.returncode == 0
        assert "nothing was sent" in run.stdout
        assert server.requests == []


def test_a_question_is_put_to_the_model_and_answered_in_the_report(data):
    """The model is asked it, and its answer stands in every form of the report."""
    question = "Why do refunds fail?"
    with ScriptedModelServer((ANSWER,)) as server:
        run = _analyze(data, server, "--question", question, "--format", "json")
        asked = json.dumps(server.requests[0].messages)

    report = json.loads(run.stdout)
    answer = "Refunds fail because they were made before."
    directory = data / "projects" / "support-bot" / "runs" / report["report_id"]
    assert question in asked
    assert report["answer"] == {"question": question, "text": answer}
    assert all(answer in (directory / f"report.{form}").read_text() for form in ("md", "html"))


def _finding(data, *words):
    """What a person says of findings, in a process of its own."""
    command = [sys.executable, "-m", "halo_daemon", "finding", *words, "--data", str(data)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_what_people_decide_during_a_run_outlives_it(data, tmp_path):
    """Decisions of other processes while the run waits for its model hold in report and ledger."""
    own = tmp_path / "data"
    shutil.copytree(data, own, symlinks=True)
    with ScriptedModelServer((ANSWER,)) as server:
        before = json.loads(_analyze(own, server, "--format", "json").stdout)
    acked, muted, fixed = (row["finding_id"] for row in before["findings"][:3])

    def answer(_request):
        _finding(own, "ack", acked)
        _finding(own, "mute", muted, "--until", "7d")
        _finding(own, "resolve", fixed)
        return ANSWER

    with ScriptedModelServer(answer) as server:
        report = json.loads(_analyze(own, server, "--format", "json").stdout)

    said = {row["finding_id"]: row["triage"]["state"] for row in report["findings"]}
    assert (said[acked], said[muted]) == ("acknowledged", "muted")
    assert report["summary"]["counts"]["muted"] == 1
    shown = json.loads(_finding(own, "show", acked, "--json"))
    assert shown["triage"]["state"] == "acknowledged"
    assert json.loads(_finding(own, "show", fixed, "--json"))["state"] == "resolved"
