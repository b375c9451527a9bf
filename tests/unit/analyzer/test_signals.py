import pytest

from halo_daemon.analyzer.signals import error_signal
from halo_daemon.testing.spans import make_span


def tool(result="", arguments="{}", **changes):
    """A TOOL span with a result."""
    attributes = {"output.value": result, "input.value": arguments, "tool.name": "t"}
    return make_span(observation_kind="TOOL", attributes=attributes, **changes)


@pytest.mark.parametrize(
    "result",
    [
        "Error: no such order",
        "error executing tool search: boom",
        "Traceback (most recent call last):\n  x\nKeyError: 1",
        "ValueError: bad",
        "Exit code 2\nno such option",
        "<returncode>127</returncode>\n<output>\nfoo: command not found",
        '{"error": "no such order"}',
        '{"error": {"message": "no such order"}}',
        '{"isError": true, "content": "bad"}',
        '{"status": "failed", "message": "no"}',
        "something\n[error] tool reported failure",
    ],
)
def test_a_result_that_states_its_failure(result):
    """A tool's result counts where it begins with the failure, or is JSON that says so."""
    assert error_signal(tool(result)).kind == "text"


@pytest.mark.parametrize(
    "result",
    [
        "",
        "ok",
        "How to handle an Error: a guide",
        "The page says: Error: 404",
        '{"status": "ok", "error": null}',
        '{"error": ""}',
        '{"errors": 0, "text": "Error: in the log"}',
        "Exit code 0\ndone",
        "<returncode>0</returncode>",
        "0 errors, 0 failures",
    ],
)
def test_a_result_about_errors_is_no_error(result):
    """Pages, logs and guides that speak of errors are not failures."""
    assert error_signal(tool(result)) is None


def test_nothing_found_is_no_failure():
    """Exit status 1 of a search says that there was nothing."""
    assert error_signal(tool("Exit code 1", '{"command": "ls | grep -n foo"}')) is None
    assert error_signal(tool("Exit code 1", '{"command": "make"}')) is not None


def test_text_counts_on_tools_only():
    """A model that writes "Error:" has not failed."""
    said = make_span(observation_kind="LLM", attributes={"output.value": "Error: no"})

    assert error_signal(said) is None


def test_the_status_comes_first():
    """Its message is the signal's, with the exception class that it names."""
    signal = error_signal(
        tool("x", status_code="STATUS_CODE_ERROR", status_message="TimeoutError: 30 s")
    )

    assert signal.kind == "status"
    assert signal.error_type == "TimeoutError"
    assert signal.attribute == "status.message"


def test_a_status_that_only_gives_a_code_yields_to_the_result():
    """The words are taken from where there are words."""
    signal = error_signal(
        tool(
            "Exit code 2\nno such option",
            status_code="STATUS_CODE_ERROR",
            status_message="exit code 2",
        )
    )

    assert signal.attribute == "output.value"


def test_what_stands_for_a_type_is_none():
    """OpenTelemetry has `_OTHER` for errors of no known type, Mastra `unknown`."""
    event = {"name": "exception", "attributes": {"exception.message": "x", "exception.type": "E"}}

    for stated in ("_OTHER", "unknown"):
        attributes = {"error.type": stated}
        bare = make_span(
            status_code="STATUS_CODE_ERROR", status_message="gone", attributes=attributes
        )
        told = make_span(
            status_code="STATUS_CODE_ERROR",
            status_message="gone",
            attributes=attributes,
            extras={"events": [event]},
        )

        assert error_signal(bare).error_type == ""
        assert error_signal(told).error_type == "E"


def test_an_exception_event_counts_without_a_status():
    """A recorded exception is a failure, its message is found in the event."""
    event = {
        "time": "2026-11-20T10:00:00.000000000Z",
        "name": "exception",
        "attributes": {"exception.type": "pkg.BadThing", "exception.message": "boom"},
    }

    signal = error_signal(make_span(extras={"events": [event]}))

    assert signal == ("exception", "boom", "BadThing", "events[0].exception.message")


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"http.response.status_code": 503}, "HTTP 503"),
        ({"error.type": "Throttled"}, "Throttled"),
        ({"error.type": "_OTHER"}, "an error without a message"),
        ({"error.type": "_OTHER", "exception.type": "app.Throttled"}, "Throttled"),
        ({"halo.derived.error": True}, "an error without a message"),
    ],
)
def test_attributes_that_state_a_failure(attributes, message):
    """A status code, an error type or the derived flag is a signal on any kind of span."""
    assert error_signal(make_span(attributes=attributes)).message == message


def test_a_status_without_words_still_is_one():
    """An error without a message is an error."""
    signal = error_signal(make_span(status_code="STATUS_CODE_ERROR"))

    assert signal.message == "an error without a message"
    assert signal.attribute == ""


@pytest.mark.parametrize(("name", "is_failure"), [("check_link", False), ("open_page", True)])
def test_what_a_tool_looks_for_may_be_away(name, is_failure):
    """For a tool that looks whether something is there, 404 is the answer."""
    span = make_span(
        observation_kind="TOOL", attributes={"output.value": "404 Not Found", "tool.name": name}
    )

    assert (error_signal(span) is not None) is is_failure


def test_an_object_that_failed_says_why_in_a_member():
    """The status of an MCP call gives a code alone; its words stand in the object."""
    result = '{"content": [{"type": "text", "text": "order 7 is archived"}], "isError": true}'

    signal = error_signal(tool(result, status_code="STATUS_CODE_ERROR"))

    assert signal is not None
    assert signal.message == "order 7 is archived"


def test_what_is_marked_as_an_error_says_why():
    """Langfuse marks an observation by its level and says why in a message beside it."""
    attributes = {
        "openinference.span.kind": "TOOL",
        "halo.derived.error": True,
        "langfuse.observation.level": "ERROR",
        "langfuse.observation.status_message": "shard 7 is not open",
    }

    signal = error_signal(make_span(attributes=attributes))

    assert signal is not None
    assert (signal.message, signal.attribute) == (
        "shard 7 is not open",
        "langfuse.observation.status_message",
    )
