"""A scheduled analysis with a model, by the daemon itself, against a scripted server."""

import json
import time

import pytest

from halo_daemon.demo.agents import AGENTS, generate
from halo_daemon.demo.export import export
from halo_daemon.quantities import parse_endpoint
from halo_daemon.testing.daemon import DaemonProcess
from halo_daemon.testing.scripted_model import ScriptedModelServer
from tests.integration.served_analyst import served_analyst

pytestmark = pytest.mark.slow

WAIT_S = 90.0


def test_a_scheduled_run_asks_the_model_and_reports_verified_findings(tmp_path):
    """The entry's engine is llm: the report says so, and what the model found was looked up."""
    data, settings = tmp_path / "data", tmp_path / "halo-daemon.yaml"
    with DaemonProcess(data) as daemon:
        runs = [generate(AGENTS[0], now_unix_ns=time.time_ns())]
        export(runs, grpc=parse_endpoint(daemon.grpc), http=parse_endpoint(daemon.http))

    with ScriptedModelServer(served_analyst) as server:
        settings.write_text(
            "analysis:\n  schedule:\n"
            '    - { name: nightly, cron: "@yearly", timezone: UTC, since: 24h, engine: llm }\n'
            "models:\n  default:\n"
            f"    base_url: {server.base_url}\n    api_key: ${{env:TEST_MODEL_KEY}}\n"
        )
        with DaemonProcess(
            data,
            arguments=("--config", str(settings)),
            environ={"TEST_MODEL_KEY": "sk-test-1"},
        ):
            path = data / "projects" / "support-bot" / "latest" / "report.json"
            until_s = time.monotonic() + WAIT_S
            while not path.is_file() and time.monotonic() < until_s:
                time.sleep(0.05)
            report = json.loads(path.read_text())

    assert (report["run"]["trigger"], report["run"]["schedule"]) == ("schedule", "nightly")
    assert (report["engine"]["mode"], report["engine"]["status"]) == ("llm", "complete")
    assert len(server.requests) >= report["engine"]["turns"] > 0
    by_model = [f for f in report["findings"] if f["source"] == "llm" or f["merged_from"]]
    assert by_model
    assert all(finding["verified"] for finding in by_model)
    assert report["unverified_claims"] == []
