"""Tool calls that only the messages of model calls tell of."""

import orjson
import pytest

from halo_daemon.analyzer.miner import mine
from halo_daemon.analyzer.partial import Partial
from halo_daemon.analyzer.rules.registry import RULE_IDS
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.analyzer.verify import is_quoted
from halo_daemon.findings import Evidence
from halo_daemon.proto.trace import Trace
from halo_daemon.testing.message_only import told_in_messages
from halo_daemon.testing.spans import START_UNIX_NS, make_span, span_id_of
from halo_daemon.testing.traces import TraceScript

_SECOND_NS = 10**9
_FAILED = "Error: order A-1 is locked"


def call(name="find_order", call_id="", arguments='{"id": 1}'):
    """A call that a model asks for."""
    return {"id": call_id, "name": name, "arguments": arguments}


def said(*calls, text=""):
    """What a model said, as a message of a prompt."""
    return {"role": "assistant", "content": text, "calls": calls}


def result(text=_FAILED, call_id="", **fields):
    """What a tool said, as a message of a prompt."""
    return {
        "role": "tool",
        "content": text,
        **({"tool_call_id": call_id} if call_id else {}),
        **fields,
    }


USER = {"role": "user", "content": "Where is my order?"}


def _flat(prefix, messages):
    found = {}
    for place, message in enumerate(messages):
        stem = f"{prefix}.{place}.message."
        for field, value in message.items():
            if field != "calls":
                found[stem + field] = value
        for number, asked in enumerate(message.get("calls", ())):
            inner = f"{stem}tool_calls.{number}.tool_call."
            if asked["id"]:
                found[f"{inner}id"] = asked["id"]
            found[f"{inner}function.name"] = asked["name"]
            found[f"{inner}function.arguments"] = asked["arguments"]
    return found


def model(number, prompt, *calls, text="", parent="", seconds=None, **fields):
    """A model call that starts at its number in seconds, and its prompt and what it asks for."""
    attributes = {
        **_flat("llm.input_messages", prompt),
        **_flat("llm.output_messages", [said(*calls, text=text)]),
    }
    start = START_UNIX_NS + (number if seconds is None else seconds) * _SECOND_NS
    return make_span(
        span_id=span_id_of(number),
        parent_span_id=parent,
        name="chat",
        observation_kind="LLM",
        start_unix_ns=start,
        end_unix_ns=start + _SECOND_NS // 2,
        attributes=attributes,
        **fields,
    )


def tool(number, name="find_order", output=_FAILED, **attributes):
    """A span of a tool."""
    return make_span(
        span_id=span_id_of(number),
        name=name,
        observation_kind="TOOL",
        start_unix_ns=START_UNIX_NS + number * _SECOND_NS,
        attributes={"tool.name": name, "input.value": '{"id": 1}', "output.value": output}
        | attributes,
    )


def view_of(*spans):
    """The trace as the rules see it."""
    return TraceView(Trace.merge(spans), MinerSettings())


def told_of(*spans):
    """Tool, arguments and result of each call read from messages."""
    calls = [ran for ran in view_of(*spans).tool_calls if ran.is_told]
    return [(ran.tool, ran.arguments.value, ran.result.value) for ran in calls]


ASKED = call(call_id="c1")
NAMELESS = call()
FOUND = ("find_order", '{"id": 1}', _FAILED)


def test_a_result_is_read_with_the_call_that_it_answers():
    """Name and arguments come from the answer that asked, the text from the next prompt."""
    view = view_of(
        model(1, [USER], ASKED), model(2, [USER, said(ASKED), result(call_id="c1")], text="Sorry.")
    )

    (ran,) = view.tool_calls

    assert (ran.tool, ran.arguments.value, ran.result.value) == FOUND
    assert ran.signal is not None
    assert view.decision_of(ran.span).span_id == span_id_of(1)
    assert view.following_call(ran.span).span_id == span_id_of(2)
    assert [step.observation_kind for step in view.steps] == ["LLM", "TOOL", "LLM"]


@pytest.mark.parametrize("asked", [ASKED, NAMELESS], ids=["by id", "by place"])
def test_a_result_counts_once_however_often_prompts_repeat_it(asked):
    """Ten prompts that hold the same result hold one call."""
    history = [USER, said(asked), result(call_id=asked["id"])]
    spans = [model(1, [USER], asked)]
    for number in range(2, 12):
        spans.append(model(number, [*history], text="Hm."))
        history += [said(text="Hm."), USER]

    assert told_of(*spans) == [FOUND]


def test_a_prompt_that_is_sent_again_brings_nothing_new():
    """A model call that is tried again has the same results in its prompt."""
    prompt = [USER, said(NAMELESS), result()]

    assert told_of(model(1, [USER], NAMELESS), model(2, prompt), model(3, prompt)) == [FOUND]


def test_a_call_recorded_by_two_instrumentations_is_one_call():
    """A model call within another one repeats its answer and its prompt."""
    prompt = [USER, said(ASKED), result(call_id="c1")]
    spans = [
        model(1, [USER], ASKED),
        model(2, [USER], ASKED, parent=span_id_of(1), seconds=1),
        model(3, prompt),
        model(4, prompt, parent=span_id_of(3), seconds=3),
    ]

    assert told_of(*spans) == [FOUND]


def test_calls_of_one_id_are_told_apart_by_how_often_it_was_asked_for():
    """Some models name every call after its tool."""
    asked = call(call_id="find_order")
    again = [said(asked), result(call_id="find_order")]

    spans = [
        model(1, [USER], asked),
        model(2, [USER, *again], asked),
        model(3, [USER, *again, *again], text="No."),
    ]

    assert told_of(*spans) == [FOUND, FOUND]


def test_a_turn_of_two_calls_is_read_by_id_and_by_order():
    """Results go with their calls, whatever the order where ids tell, else in order."""
    first, second = call("find_order", "a", "1"), call("find_user", "b", "2")
    by_id = [
        model(1, [USER], first, second),
        model(2, [USER, said(first, second), result("two", "b"), result("one", "a")]),
    ]
    one, two = call("find_order", "", "1"), call("find_user", "", "2")
    by_order = [
        model(1, [USER], one, two),
        model(2, [USER, said(one, two), result("one"), result("two")]),
    ]
    by_name = [
        model(1, [USER], one, two),
        model(
            2, [USER, said(one, two), result("two", name="find_user"), result(name="find_order")]
        ),
    ]

    assert told_of(*by_id) == [("find_user", "2", "two"), ("find_order", "1", "one")]
    assert told_of(*by_order) == [("find_order", "1", "one"), ("find_user", "2", "two")]
    assert told_of(*by_name) == [("find_user", "2", "two"), ("find_order", "1", _FAILED)]


def test_results_between_the_items_of_one_turn_are_read():
    """Some histories put every result right behind its call."""
    one, two = call("find_order", "a", "1"), call("find_user", "b", "2")
    history = [USER, said(one), result("one", "a"), said(two), result("two", "b")]

    told = told_of(model(1, [USER], one, two), model(2, history))

    assert told == [("find_order", "1", "one"), ("find_user", "2", "two")]


def test_a_model_call_in_a_trace_of_its_own_tells_of_the_calls_right_before_it():
    """The prompt repeats the call, and what earlier traces told of is theirs."""
    earlier, asked = call("find_user", "c0", "0"), call(call_id="c1")
    history = [USER, said(earlier), result("fine", "c0"), said(asked), result(call_id="c1")]

    view = view_of(model(3, history, text="Sorry."))

    assert [(ran.tool, ran.arguments.value) for ran in view.tool_calls] == [
        ("find_order", '{"id": 1}')
    ]
    assert view.is_fragment
    assert view.decision_of(view.tool_calls[0].span) is None
    assert told_of(model(4, [*history, said(text="Sorry."), USER])) == []


def test_a_call_that_only_later_prompts_repeat_was_made_in_the_trace():
    """What is new since the first prompt happened since then, whoever asked for it."""
    view = view_of(model(1, [USER], text="Hm."), model(2, _PROMPT, text="Sorry."))

    assert [ran.tool for ran in view.tool_calls] == ["find_order"]
    assert not view.is_fragment


def test_a_prompt_of_new_items_alone_needs_its_name():
    """Where the server keeps the history, an answer of unknown name is no call that can be named."""
    assert told_of(model(1, [], ASKED), model(2, [result(call_id="c1")])) == [FOUND]
    assert told_of(model(2, [result(call_id="c1")])) == []
    assert told_of(model(2, [result(name="find_order")])) == [("find_order", "", _FAILED)]


def test_a_beginning_of_the_answer_hides_no_result():
    """A prompt may end with words that the application wrote for the model."""
    prompt = [USER, said(ASKED), result(call_id="c1"), said(text="{")]

    assert told_of(model(1, [USER], ASKED), model(2, prompt)) == [FOUND]


def test_a_result_that_a_user_hands_on_is_one():
    """Some write the answer to a call as a message of the user that names the call."""
    handed = {**result(call_id="c1"), "role": "user"}

    assert told_of(model(1, [USER], ASKED), model(2, [USER, said(ASKED), handed])) == [FOUND]


_PROMPT = [USER, said(ASKED), result(call_id="c1")]
_OTHERS = call("find_user", "c2", "2")
_BOTH = [USER, said(ASKED, _OTHERS), result(call_id="c1"), result("fine", "c2")]
_TWICE = call("find_order", "c2", "2")


@pytest.mark.parametrize(
    ("spans", "told"),
    [
        ([model(1, [USER], ASKED), tool(2, **{"tool.id": "c1"}), model(3, _PROMPT)], []),
        ([model(1, [USER], ASKED), tool(2), model(3, _PROMPT)], []),
        ([model(1, [USER], ASKED), tool(2, "mcp__shop__find_order"), model(3, _PROMPT)], []),
        ([model(1, [USER], ASKED), tool(2, **{"tool.id": "run-7"}), model(3, _PROMPT)], []),
        ([model(1, [USER], ASKED), tool(2, "Find order"), model(3, _PROMPT)], []),
        ([model(1, [USER], ASKED), tool(2, "OrderTool"), model(3, _PROMPT)], []),
        ([tool(1, "OrderTool"), model(2, [USER], ASKED), model(3, _PROMPT)], ["find_order"]),
        ([model(1, [USER], ASKED, _OTHERS), tool(2), model(3, _BOTH)], ["find_user"]),
        (
            [
                model(1, [USER], ASKED, _TWICE),
                tool(2, **{"tool.id": "c1"}),
                model(3, [USER, said(ASKED, _TWICE), result(call_id="c1"), result("x", "c2")]),
            ],
            ["find_order"],
        ),
        (
            [
                model(1, [USER], NAMELESS, call("find_order", "", "2")),
                tool(2),
                model(3, [USER, said(NAMELESS, NAMELESS), result(), result("x")]),
            ],
            [],
        ),
        (
            [
                model(1, [USER], ASKED),
                make_span(
                    span_id=span_id_of(2),
                    name="execute find_order",
                    start_unix_ns=START_UNIX_NS + 2 * _SECOND_NS,
                ),
                model(3, _PROMPT),
            ],
            [],
        ),
    ],
    ids=[
        "the id", "the name", "a prefixed name", "ids of another kind", "a name in words",
        "another name at that time", "another name before", "another tool's span",
        "another call's id", "no ids", "a span of another kind",
    ],
)  # fmt: skip
def test_what_a_span_stands_for_is_not_read_from_messages(spans, told):
    """A call is read from messages only where no span of the trace can be it."""
    assert [name for name, _, _ in told_of(*spans)] == told


def test_a_result_marked_as_an_error_is_one_whatever_it_says():
    """What the API flags needs no words for it."""
    prompt = [USER, said(ASKED), result("nothing to see", "c1", is_error=True)]

    (ran,) = view_of(model(1, [USER], ASKED), model(2, prompt)).tool_calls

    assert ran.signal is not None
    assert (ran.signal.kind, ran.signal.message) == ("status", "nothing to see")


def test_a_message_without_recorded_text_is_a_call_without_a_result():
    """Content that was not captured is neither empty nor a success."""
    bare = {"role": "tool", "tool_call_id": "c1"}

    (ran,) = view_of(model(1, [USER], ASKED), model(2, [USER, said(ASKED), bare])).tool_calls

    assert (ran.result.attribute, ran.signal) == ("", None)


def test_a_place_beyond_all_bounds_costs_nothing():
    """Places are those that are there, not all up to the largest."""
    odd = {"llm.input_messages.999999999.message.role": "tool"}
    span = model(1, [USER])
    span.attributes.update(odd)

    assert told_of(span) == []


def quotes_of(known: Partial, rule: str):
    """The quotes of every case that *rule* shows."""
    groups = [group for key, group in known.groups.items() if key.rule == rule]
    return [
        cited
        for group in groups
        for case in (*group.unrecovered, *group.recovered)
        for cited in case.quotes
    ]


def test_evidence_stands_in_recorded_spans():
    """The symptom is the message in the prompt, the decision the answer that asked."""
    trace = Trace.merge([model(1, [USER], ASKED), model(2, _PROMPT, text="Sorry.")])

    symptom, decision = quotes_of(mine([trace], MinerSettings()), "tool_error")

    assert (symptom.span_id, symptom.attribute, symptom.role) == (
        span_id_of(2), "llm.input_messages.2.message.content", "symptom",
    )  # fmt: skip
    assert (decision.span_id, decision.role) == (span_id_of(1), "decision")
    by_id = trace.by_id
    for cited in (symptom, decision):
        row = Evidence(
            trace_id=trace.trace_id,
            span_id=cited.span_id,
            role=cited.role,
            attribute=cited.attribute,
            char_start=cited.start,
            char_end=cited.end,
            quote=cited.text,
        )
        assert is_quoted(by_id[cited.span_id], row)


def test_words_of_a_later_part_are_not_quoted_from_the_first():
    """A result in parts is read whole; what stands behind its first part is cited without words."""
    parts = {
        "role": "tool",
        "tool_call_id": "c1",
        "contents.0.message_content.type": "text",
        "contents.0.message_content.text": "Traceback (most recent call last):",
        "contents.1.message_content.type": "text",
        "contents.1.message_content.text": "ValueError: it is locked",
    }
    trace = Trace.merge([model(1, [USER], ASKED), model(2, [USER, said(ASKED), parts])])

    (ran,) = TraceView(trace, MinerSettings()).tool_calls
    symptom = quotes_of(mine([trace], MinerSettings()), "tool_error")[0]

    assert ran.result.value == "Traceback (most recent call last):\nValueError: it is locked"
    assert (symptom.span_id, symptom.text) == (span_id_of(2), "")


def _defects(known: Partial):
    row = known.defects["missing_tool_span"]
    return row.met, row.of, row.example[1]


def test_the_report_says_how_many_calls_have_no_span():
    """Data quality counts them among all tool calls, and names a span that is there."""
    trace = Trace.merge([model(1, [USER], ASKED, _OTHERS), tool(2), model(3, _BOTH)])

    assert _defects(mine([trace], MinerSettings())) == (1, 2, span_id_of(3))


def test_no_time_is_made_up():
    """Neither how long a tool ran is measured, nor that nothing ran while it may have."""
    spans = [model(1, [USER], ASKED), model(200, _PROMPT)]

    known = mine([Trace.merge(spans)], MinerSettings())

    assert {measure.rule for measure in known.spreads} <= {"slow", "slow_run", "heavy"}
    assert {measure.name for measure in known.spreads if measure.rule == "slow"} == {"chat"}


def test_rules_that_need_a_whole_run_leave_a_fragment_out():
    """Whether something was done cannot be told where other calls stand in other traces."""
    asked = call("send_mail", "c1")
    history = [USER, said(asked), result("failed: 3", "c1")]

    known = mine([Trace.merge([model(3, history, text="I have sent it.")])], MinerSettings())

    row = known.checked[RULE_IDS["claimed_not_done"]]
    assert (row.checked, row.not_checked["not_recorded"]) == (0, 1)


def _script():
    script = TraceScript(1)
    for number in range(3):
        script.model(calls=[("find_order", {"id": number})])
        script.tool("find_order", {"id": number}, error=f"IndexError: shard {number} is closed")
    for _ in range(3):
        script.model(calls=[("search", {"q": "a"})])
        script.tool("search", {"q": "a"}, result="nothing that fits")
    return script.model("Done.").answer("Done.")


@pytest.mark.parametrize("has_ids", [True, False], ids=["ids", "no ids"])
def test_runs_told_in_messages_are_counted_as_runs_with_spans(has_ids):
    """The same findings with the same counts and populations, told once in both forms together."""
    spans = _script().spans()
    forms = [
        Trace.merge(spans),
        Trace.merge(told_in_messages(spans, has_ids=has_ids)),
        Trace.merge(told_in_messages(spans, has_ids=has_ids, keeps_tools=True)),
    ]

    with_spans, in_messages, both = (mine([trace], MinerSettings()) for trace in forms)

    for known in (in_messages, both):
        assert _figures(known) == _figures(with_spans)
        assert known.eligible == with_spans.eligible
    assert in_messages.defects["missing_tool_span"].met == 6
    assert both.defects["missing_tool_span"].met == 0


def _figures(known: Partial):
    return {
        (key, hit.occurrences, hit.spans, hit.is_recovered, hit.certainty, hit.wasted)
        for key, group in known.groups.items()
        for hit in group.hits.values()
    }


def test_long_histories_cost_what_is_new_in_them():
    """Of each prompt only the messages behind the last answer are looked at."""
    history = [USER]
    spans = []
    looked = []
    for number in range(1, 60):
        asked = call("find_order", f"c{number}", orjson.dumps({"id": number}).decode())
        span = model(number, [*history], asked)
        span.attributes = _Counting(span.attributes, looked)
        spans.append(span)
        history += [said(asked), result("fine", f"c{number}")]
    view = view_of(*spans)
    assert view.model_calls

    looked.clear()
    assert len(view.told) == 58

    assert len(looked) < 58 * 20


class _Counting(dict):
    """Attributes that note which of the prompt's were asked for."""

    def __init__(self, attributes, looked):
        super().__init__(attributes)
        self._looked = looked

    def get(self, key, default=None):
        if key.startswith("llm.input_messages."):
            self._looked.append(key)
        return super().get(key, default)
