"""The OpenTelemetry SDK for JavaScript, its three exporters."""

import json
import subprocess

import pytest

from tests.interop.conftest import tool


@pytest.mark.parametrize("kind", ["json", "protobuf", "grpc"])
def test_spans_of_the_javascript_sdk_arrive_once_and_whole(js_sender, receiver, kind):
    """Every span that the SDK says it sent is stored once, with its attributes."""
    url = (
        f"http://{receiver.grpc_address}"
        if kind == "grpc"
        else f"http://{receiver.http_address}/v1/traces"
    )

    sent = subprocess.run(
        [tool("node"), str(js_sender), kind, url, "from-js"],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )

    ids = json.loads(sent.stdout)
    spans = receiver.spans("from-js")
    assert sent.stderr == ""
    assert sorted(span["span_id"] for span in spans) == sorted(ids)
    assert {span["attributes"]["text"] for span in spans} == {"café\u2028"}
    assert {span["attributes"]["score"] for span in spans} == {0.5}
    assert {span["status"]["message"] for span in spans} == {"it failed"}
