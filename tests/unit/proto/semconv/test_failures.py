import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from halo_daemon.proto.semconv import project_fields
from tests.unit.proto.semconv.spans import projected, status

UNSET, OK, ERROR = "STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"
TOOL = {"openinference.span.kind": "TOOL"}
CHAIN = {"openinference.span.kind": "CHAIN"}
EXCEPTION = ("exception", {"exception.type": "Boom", "exception.message": "it broke"})
HANDLED = ("exception", {"exception.type": "Boom", "exception.escaped": "False"})
OTHER = ("retry", {})


def judged(values, **fields):
    """Status code, status message, `error.type` and derived flag of a span."""
    line = projected(values, **fields)
    attributes = line["attributes"]
    return (
        line["status"]["code"],
        line["status"]["message"],
        attributes.get("error.type"),
        attributes.get("halo.derived.error", False),
    )


@pytest.mark.parametrize(
    ("values", "fields", "expected"),
    [
        pytest.param({}, {}, (UNSET, "", None, False), id="nothing-wrong"),
        pytest.param({}, status(2, "sent"), (ERROR, "sent", None, False), id="status"),
        pytest.param({"error.type": "Boom"}, {}, (ERROR, "", "Boom", True), id="error-type"),
        pytest.param({"error.type": "Boom"}, status(1), (OK, "", "Boom", False), id="ok-is-ok"),
        pytest.param({"error.type": ""}, {}, (UNSET, "", "", False), id="empty-error-type"),
        pytest.param({"error.message": "no"}, {}, (ERROR, "", None, True), id="error-message"),
        pytest.param({"http.response.status_code": 404}, {}, (ERROR, "", None, True), id="http-404"),
        pytest.param({"http.response.status_code": "503"}, {}, (ERROR, "", None, True), id="http-text"),
        pytest.param({"http.response.status_code": 302}, {}, (UNSET, "", None, False), id="http-302"),
        pytest.param({"http.response.status_code": 404}, {"kind": Span.SPAN_KIND_SERVER}, (UNSET, "", None, False), id="server-404"),
        pytest.param({"http.response.status_code": 500}, {"kind": Span.SPAN_KIND_SERVER}, (ERROR, "", None, True), id="server-500"),
        pytest.param(CHAIN, {"events": (EXCEPTION,)} | status(2), (ERROR, "Boom: it broke", "Boom", False), id="message-from-exception"),
        pytest.param(CHAIN, {"events": (HANDLED,)} | status(2, "m"), (ERROR, "m", "Boom", False), id="message-is-kept"),
        pytest.param(CHAIN, {"events": (HANDLED,)}, (UNSET, "", None, False), id="handled"),
        pytest.param(CHAIN, {"events": (EXCEPTION,)} | status(1), (OK, "", None, False), id="exception-under-ok"),
        pytest.param(CHAIN, {"events": (EXCEPTION,)}, (UNSET, "", "Boom", False), id="exception-in-a-chain"),
        pytest.param(TOOL, {"events": (EXCEPTION,)}, (UNSET, "", "Boom", True), id="tool-ends-in-exception"),
        pytest.param(TOOL, {"events": (HANDLED, OTHER)}, (UNSET, "", None, False), id="tool-recovers"),
        pytest.param(TOOL | {"output.value": '{"error":"no such city"}'}, {}, (UNSET, "", None, True), id="result-with-error"),
        pytest.param(TOOL | {"output.value": '{"isError":true}'}, status(1), (OK, "", None, True), id="result-under-ok"),
        pytest.param(TOOL | {"output.value": '{"error":null,"is_error":false}'}, {}, (UNSET, "", None, False), id="result-without-error"),
        pytest.param(TOOL | {"output.value": "an error in plain text"}, {}, (UNSET, "", None, False), id="plain-text"),
        pytest.param(TOOL | {"output.value": "Error: no such city"}, {}, (UNSET, "", None, True), id="told-in-words"),
        pytest.param(TOOL | {"output.value": "HTTP 503: try later"}, status(1), (OK, "", None, True), id="told-as-a-status"),
        pytest.param(TOOL | {"output.value": '{"success":false}'}, {}, (UNSET, "", None, True), id="success-denied"),
        pytest.param(TOOL | {"output.value": {"error": "x"}}, {}, (UNSET, "", None, True), id="told-in-an-object"),
        pytest.param(TOOL | {"output.value": '{"error":"none"}'}, {}, (UNSET, "", None, False), id="told-that-there-is-none"),
        pytest.param(TOOL | {"tool.name": "check_page", "output.value": "HTTP 404: not there"}, {}, (UNSET, "", None, False), id="what-a-check-found"),
        pytest.param(CHAIN | {"output.value": "Error: no such city"}, {}, (UNSET, "", None, False), id="words-of-no-tool"),
        pytest.param(TOOL | {"output.value": '{"error":"x"}'}, status(2, "m"), (ERROR, "m", None, False), id="status-says-it-already"),
        pytest.param(CHAIN | {"output.value": '{"error":"x"}'}, {}, (UNSET, "", None, False), id="not-a-tool"),
        pytest.param({"gen_ai.tool.status": "error"}, {}, (UNSET, "", None, True), id="tool-status"),
        pytest.param({"langfuse.observation.level": "ERROR"}, {}, (UNSET, "", None, True), id="langfuse-level"),
        pytest.param({"langfuse.observation.level": "DEFAULT"}, {}, (UNSET, "", None, False), id="langfuse-default"),
    ],
)  # fmt: skip
def test_error_signals(values, fields, expected):
    """What the sender says changes an unset status; what is only found sets the flag."""
    assert judged(values, **fields) == expected


@pytest.mark.parametrize(
    ("values", "events"), [(CHAIN, (EXCEPTION,)), (TOOL, (EXCEPTION,)), ({"error.type": "Boom"}, (EXCEPTION,))]
)  # fmt: skip
def test_a_filled_error_type_is_not_taken_for_a_sent_one(values, events):
    """Looking at a stored line again changes neither its status nor its flag."""
    line = projected(values, events=events)

    assert project_fields(line) == line
