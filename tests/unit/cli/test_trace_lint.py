import json

import pytest
import typer
from typer.testing import CliRunner

from halo_daemon.cli.trace_lint import lint_traces, spans_of_file
from halo_daemon.errors import HaloError
from halo_daemon.testing.spans import make_fields
from tests.conformance.requests import base_span, body_of, json_body
from tests.unit.proto.decoding import attributes

CHAT = base_span(attributes=attributes({"gen_ai.operation.name": "chat"}))


def run(*arguments):
    """Run the command on its own."""
    app = typer.Typer()
    app.command()(lint_traces)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(json.dumps(make_fields()).encode() + b"\n\n", id="stored-line"),
        pytest.param(json_body(), id="otlp-json"),
        pytest.param(json.dumps(json.loads(json_body()), indent=2).encode(), id="printed-json"),
        pytest.param(body_of(base_span()), id="protobuf"),
    ],
)
def test_a_file_may_hold_any_form_of_spans(tmp_path, content):
    """Stored lines and requests in both encodings are read alike."""
    path = tmp_path / "spans"
    path.write_bytes(content)

    assert len(list(spans_of_file(path))) == 1


@pytest.mark.parametrize("content", [b"{}", b'{"a":1}\nx', b"\xff\xff", b"plain"])
def test_another_file_is_named(tmp_path, content):
    """A file of something else is one error that says where."""
    path = tmp_path / "other"
    path.write_bytes(content)

    with pytest.raises(HaloError, match="cannot read"):
        list(spans_of_file(path))


def test_advice_is_printed_and_exits_one(tmp_path):
    """What is missing is told in words, and in the exit status."""
    path = tmp_path / "request.pb"
    path.write_bytes(body_of(CHAT))

    result = run(path)

    assert result.exit_code == 1
    assert "1 LLM spans name no model: set `gen_ai.response.model`" in result.output


def test_the_report_is_there_as_json(tmp_path):
    """Scopes, counts, unknown keys and advice stand in one document."""
    path = tmp_path / "request.pb"
    path.write_bytes(body_of(base_span(attributes=attributes({"acme.step": 1}))))

    document = json.loads(run(path, "--json").stdout)

    assert document["schema"] == "halo.lint/v1"
    assert document["scopes"][0]["unknown_keys"] == {"acme.step": 1}
    assert document["scopes"][0]["without_kind"] == 1


def test_clean_spans_exit_zero(tmp_path):
    """Nothing to advise is a success."""
    path = tmp_path / "request.pb"
    path.write_bytes(body_of(base_span()))

    assert run(path).exit_code == 0
