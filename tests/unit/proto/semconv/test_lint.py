from halo_daemon.proto.semconv import lint
from halo_daemon.proto.semconv.lint import MAX_UNKNOWN_KEYS
from halo_daemon.proto.span import Span
from tests.unit.proto.semconv.spans import projected, status


def span_of(values, **fields):
    """The stored span of these attributes."""
    return Span.from_fields(projected(values, **fields))


def test_no_spans_are_clean():
    """An empty project has nothing to advise."""
    report = lint([])

    assert report.scopes == ()
    assert report.is_clean


def test_what_is_missing_is_told_by_scope():
    """Each scope gets its counts and the advice that fixes them, largest scope first."""
    spans = [
        span_of({"acme.step": "plan"}, scope="acme"),
        span_of({"acme.step": "act", "acme.cost": 1}, scope="acme"),
        span_of({"openinference.span.kind": "LLM", "acme.step": "say"}, scope="acme"),
        span_of({"openinference.span.kind": "TOOL"}, scope="acme"),
        span_of({"http.request.method": "GET"}, scope="http"),
    ]

    report = lint(spans)

    acme, http = report.scopes
    assert (acme.scope_name, acme.spans, acme.without_kind) == ("acme", 4, 2)
    assert (acme.llm_without_model, acme.llm_without_tokens, acme.llm_without_messages) == (1, 1, 1)
    assert (acme.tool_without_name, acme.tool_without_result) == (1, 1)
    assert acme.unknown_keys.most_common() == [("acme.step", 3), ("acme.cost", 1)]
    assert acme.advice[0] == (
        "2 of 4 spans have no kind: set `openinference.span.kind` or `gen_ai.operation.name` "
        "(first: span eee19b7ec3c1b174 of trace 5b8efff798038103d269b633813fc60c)"
    )
    assert (http.advice, http.unknown_keys) == ((), {})


def test_failed_calls_are_not_blamed_for_silence():
    """A model call that failed has no tokens to report."""
    failed = span_of({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}, **status(2))

    assert lint([failed]).is_clean


def test_unknown_keys_are_bounded():
    """Keys made up for every span do not fill the memory."""
    spans = [span_of({f"made.up.{number}": 1}) for number in range(MAX_UNKNOWN_KEYS + 5)]

    (scope,) = lint(spans).scopes

    assert len(scope.unknown_keys) == MAX_UNKNOWN_KEYS + 1
    assert scope.unknown_keys["(other keys)"] == 5


_CALL = "llm.output_messages.0.message.tool_calls.0.tool_call.function.name"


def _asks():
    fields = {"openinference.span.kind": "LLM", "llm.model_name": "m", _CALL: "search"}
    return span_of(fields | {"llm.token_count.prompt": 1}, scope="client")


def test_calls_of_tools_that_no_span_stands_for_are_told():
    """Where only the client of the model is instrumented, what is lost by that is said."""
    (advice,) = lint([_asks(), _asks()]).scopes[0].advice

    assert advice.startswith("2 LLM spans ask for tools, and no span stands for a tool")


def test_tools_that_another_scope_records_are_not_missed():
    """The client of a model is not blamed for tools that a framework records."""
    fields = {"openinference.span.kind": "TOOL", "tool.name": "search", "output.value": "42"}

    assert lint([_asks(), span_of(fields, scope="framework")]).is_clean
