"""Model calls that two spans tell of are one call."""

import pytest
from hypothesis import given, strategies as st

from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.trace import Trace
from halo_daemon.testing.spans import START_UNIX_NS, make_span
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import report_of

OUTER, INNER, SECOND = "00000000000000b1", "00000000000000b2", "00000000000000b3"
ROOT = "00000000000000a1"
SAID = {
    "model": "gpt-4o",
    "tokens": (50, 7),
    "question": "where is order 42",
    "answer": "It was shipped.",
}


def span_of(span_id, parent, *, kind="LLM", start=0, error="", **told):
    """A span that tells what is named, and nothing else."""
    keys = {
        "inference.llm.model_name": told.get("model"),
        "llm.input_messages.0.message.role": "user" if told.get("question") else None,
        "llm.input_messages.0.message.content": told.get("question"),
        "llm.output_messages.0.message.content": told.get("answer"),
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": told.get("asks"),
    }
    tokens = told.get("tokens")
    if tokens:
        keys["inference.llm.input_tokens"], keys["inference.llm.output_tokens"] = tokens
    return make_span(
        span_id=span_id,
        parent_span_id=parent,
        name=span_id,
        observation_kind=kind,
        start_unix_ns=START_UNIX_NS + start,
        status_code="STATUS_CODE_ERROR" if error else "STATUS_CODE_UNSET",
        status_message=error,
        attributes={key: value for key, value in keys.items() if value is not None},
    )


def counted(*spans):
    """Ids of the model calls that are counted below an agent."""
    root = span_of(ROOT, "", kind="AGENT")
    view = TraceView(Trace.merge([root, *spans]), MinerSettings())
    calls = {call.span.span_id for call in view.model_calls}
    assert calls == {span.span_id for span in view.steps if span.observation_kind == "LLM"}
    return calls


def around(outer, inner):
    """The calls counted where a span that tells *outer* holds one that tells *inner*."""
    return counted(span_of(OUTER, ROOT, **outer), span_of(INNER, OUTER, start=1, **inner))


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        pytest.param(SAID, SAID, id="all-alike"),
        pytest.param(SAID, SAID | {"model": "gpt-4o-2024-08-06"}, id="the-served-version"),
        pytest.param(SAID | {"model": "openai/gpt-4o"}, SAID, id="a-provider-before"),
        pytest.param(SAID | {"tokens": None, "answer": None}, SAID, id="one-question"),
        pytest.param(SAID | {"question": None, "answer": None}, SAID, id="one-count"),
        pytest.param(SAID | {"tokens": None, "question": None}, SAID, id="one-answer"),
        pytest.param(SAID | {"tokens": (500, 7)}, SAID, id="tokens-counted-differently"),
        pytest.param(SAID | {"model": "house-model"}, SAID, id="an-alias-of-a-gateway"),
        pytest.param({"model": "gpt-4o"}, SAID, id="tells-nothing-but-its-model"),
        pytest.param({}, SAID, id="tells-nothing"),
        pytest.param({"model": "gpt-4o"}, {"model": "gpt-4o"}, id="both-tell-nothing"),
        pytest.param(
            {"model": "m", "asks": "lookup"},
            {"model": "m", "asks": "lookup", "tokens": (5, 1)},
            id="one-tool-asked-for",
        ),
        pytest.param(
            {"model": "m", "question": "q", "error": "429"},
            {"model": "m", "question": "q", "error": "429"},
            id="both-failed",
        ),
    ],
)
def test_the_inner_of_two_spans_is_the_call(outer, inner):
    """A span around the same call is none of its own."""
    assert around(outer, inner) == {INNER}


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        pytest.param(
            SAID,
            {"model": "gpt-4o", "tokens": (9, 1), "question": "is this safe?", "answer": "safe"},
            id="a-judge-of-the-same-model",
        ),
        pytest.param(SAID, SAID | {"model": "gpt-4o-mini", "tokens": (60, 7)}, id="another-model"),
        pytest.param(
            {"model": "gpt-4o", "error": "500"},
            {"model": "guard-1", "answer": "safe", "tokens": (9, 1)},
            id="failed-after-a-judge-said-something",
        ),
        pytest.param(SAID, {"model": "gpt-4o", "error": "429"}, id="failed-and-tried-again"),
        pytest.param(SAID, {"model": "gpt-4o", "question": "safe?"}, id="asked-something-else"),
        pytest.param(SAID, {"model": "guard-1"}, id="silent-and-another-model"),
    ],
)
def test_calls_that_differ_stay_two(outer, inner):
    """Being inside of a call is no evidence of being the same one."""
    assert around(outer, inner) == {OUTER, INNER}


def test_a_bare_span_within_is_the_one_left_out():
    """Where the inner span says nothing, the one around it is the call."""
    assert around(SAID, {}) == {OUTER}


@pytest.mark.parametrize("kind", ["TOOL", "AGENT", "GUARDRAIL", "RETRIEVER"])
def test_what_is_below_a_tool_is_another_call(kind):
    """A call that an agent, a tool or a judge makes counts beside the call that led to it."""
    between = span_of(SECOND, OUTER, kind=kind, start=1)
    outer, inner = span_of(OUTER, ROOT, **SAID), span_of(INNER, SECOND, start=2, **SAID)

    assert counted(outer, between, inner) == {OUTER, INNER}


@pytest.mark.parametrize("kind", ["CHAIN", "SPAN"])
def test_steps_between_hand_on(kind):
    """A framework's step between two spans of one call changes nothing."""
    between = span_of(SECOND, OUTER, kind=kind, start=1)
    outer, inner = span_of(OUTER, ROOT, **SAID), span_of(INNER, SECOND, start=2, **SAID)

    assert counted(outer, between, inner) == {INNER}


def test_a_loop_of_calls_is_none_itself():
    """A span that adds up the tokens of the calls within, or ends with their answer, is no call."""
    asked = {"model": "m", "tokens": (50, 7), "asks": "lookup"}
    answered = {"model": "m", "tokens": (80, 9), "answer": "It was shipped."}
    steps = (
        span_of(INNER, OUTER, start=1, **asked),
        span_of(SECOND, OUTER, start=2, **answered),
    )
    sums = span_of(OUTER, ROOT, model="m", tokens=(130, 16))
    ends = span_of(OUTER, ROOT, model="m", answer="It was shipped.")

    assert counted(sums, *steps) == {INNER, SECOND}
    assert counted(ends, *steps) == {INNER, SECOND}


def test_three_layers_are_one_call():
    """A framework, a gateway and a client that all tell of a call make one of it."""
    spans = (
        span_of(OUTER, ROOT, **SAID),
        span_of(INNER, OUTER, start=1, model="gpt-4o"),
        span_of(SECOND, INNER, start=2, **SAID),
    )

    assert counted(*spans) == {SECOND}


def test_a_cycle_ends():
    """Spans that are above each other are read to the end."""
    assert counted(span_of(OUTER, INNER, **SAID), span_of(INNER, OUTER, start=1, **SAID))


@given(
    st.lists(
        st.tuples(st.integers(0, 7), st.sampled_from(["LLM", "CHAIN", "TOOL"]), st.booleans()),
        min_size=1,
        max_size=8,
    )
)
def test_a_call_is_never_lost(tree):
    """Whatever the tree, each span left out has a call above or below it that counts."""
    ids = [f"{place + 0xC0:016x}" for place in range(len(tree))]
    spans = [
        span_of(span_id, ids[parent % len(ids)], kind=kind, **(SAID if tells else {}))
        for span_id, (parent, kind, tells) in zip(ids, tree, strict=True)
    ]
    parents = {span.span_id: span.parent_span_id for span in spans}
    calls = {span.span_id for span in spans if span.observation_kind == "LLM"}

    kept = counted(*spans)

    for left_out in calls - kept:
        assert any(
            left_out in _above(parents, one) or one in _above(parents, left_out) for one in kept
        )


def _above(parents, span_id):
    seen = set()
    while span_id in parents and span_id not in seen:
        seen.add(span_id)
        span_id = parents[span_id]
    return seen


def test_a_report_counts_each_call_once():
    """A finding on model calls has as many occurrences with a second instrumentation as without."""

    def cut_off(number, *, is_double):
        script = TraceScript(number)
        said = {"finish": "length", "tokens": (100, 4096)}
        script.model("a long answer", **said)
        if is_double:
            script.model("a long answer", parent=script.spans()[-1].span_id, **said)
        return script

    once = report_of([cut_off(n, is_double=False) for n in range(1, 11)])
    twice = report_of([cut_off(n, is_double=True) for n in range(1, 11)])

    def figures(report):
        return [(f.fingerprint.parts[0], f.counts) for f in report.findings]

    assert figures(once)
    assert figures(twice) == figures(once)
