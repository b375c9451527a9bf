"""A clean support agent, the failures that can be put into a run of it, and near-misses."""

from collections.abc import Callable, Mapping
from random import Random
from typing import NamedTuple

from bench.faults import calls, outages, payloads, silent, unsafe, worded
from bench.faults.steps import TOOLS, TOPICS, call, order, order_in
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.testing.traces import TraceScript

_WALL_STEPS = 45
ASKED_IN_NEXT_RUN = "asked again in the next run"
_LATE_LIMIT = "limit on turns, after a recovery"

Steps = Callable[[TraceScript, Random], None]


class Mode(NamedTuple):
    """One way for a run to go wrong, and the rules that may report it."""

    name: str
    rules: frozenset[str]
    steps: Steps
    findings: int = 0
    """How many findings it is; 0 where that is not asked."""


def _true_summary(number: str, draw: Random) -> str:
    """An answer with a quotation that stands in a result, and with a sum that is right."""
    first, second = draw.randint(10, 99), draw.randint(10, 99)
    return (
        f'The record reads "state: sent, id: {number}" and you could write "thank you for all of it".'
        f"\n- Shoes: ${first}.50\n- Hat: ${second}.25\n\nTotal: ${first + second}.75\n"
        f"That is {first} + {second} = {first + second} and some cents."
    )


_NEAR_MISSES: tuple[Steps, ...] = (
    payloads.mentions_errors,
    calls.in_form,
    silent.given_ids,
    silent.likes_repetition,
    silent.group_chat,
    silent.one_for_many,
    worded.one_after_the_other,
    worded.keys_pressed,
    worded.logs_shown,
)


def clean_steps(script: TraceScript, draw: Random) -> None:
    """What every run does: look an order up, read something, now and then poll a job."""
    number = order_in(script.task)
    call(
        script, "find_order", {"order_id": number}, result=f'{{"state": "sent", "id": "{number}"}}'
    )
    for topic in draw.sample(TOPICS, draw.randint(1, 3)):
        call(
            script,
            "search_docs",
            {"query": topic},
            result=f"Everything about {topic}. {topic} " * 5,
        )
    if draw.random() < 0.2:
        call(script, "list_alerts", {"since": f"{draw.randrange(24)} h"}, result="[]")
    if draw.random() < 0.5:
        draw.choice(_NEAR_MISSES)(script, draw)
    if draw.random() < 0.1:
        topics = draw.sample(TOPICS, 2)
        _conversation(script, *(f"How does the {topic} of worn shoes work?" for topic in topics))
    if draw.random() < 0.3:
        script.answer(_true_summary(number, draw))
    if draw.random() < 0.1:
        _answered_later(script, draw)
    if draw.random() < 0.2:
        for _ in range(3):
            call(script, "get_status", {"job": "export"}, result="running")


def _tool_error(script: TraceScript, draw: Random) -> None:
    message = f"IndexError: shard {draw.randrange(64)} of index is not open"
    call(script, "search_docs", {"query": draw.choice(TOPICS)}, error=message)


def _recovered(script: TraceScript, draw: Random) -> None:
    topic = draw.choice(TOPICS)
    call(script, "search_docs", {"query": f"{topic}!"}, error=f"ParseError: stray '{topic}!'")
    call(script, "search_docs", {"query": topic}, result=f"About {topic}.")


def _rate_limit(script: TraceScript, draw: Random) -> None:
    error = f"HTTP 429: too many requests, retry after {draw.randint(1, 60)} s"
    call(script, "find_order", {"order_id": order(draw)}, error=error)


def _text_error(script: TraceScript, draw: Random) -> None:
    result = f"Error: customer {draw.randrange(10**5)} is locked"
    call(script, "find_order", {"order_id": order(draw)}, result=result)


def _refused_arguments(script: TraceScript, draw: Random) -> None:
    arguments: JsonObject = {"order_id": order(draw), "verbose": True}
    error = "find_order() got an unexpected keyword argument 'verbose'"
    call(script, "find_order", arguments, error=error)


def _schema_break(script: TraceScript, draw: Random) -> None:
    call(script, "find_order", {"number": order(draw)}, result='{"state": "unknown"}')


def _made_up_tool(script: TraceScript, draw: Random) -> None:
    call(script, "escalate_ticket", {"order_id": order(draw)}, result="ok")


def _loop(script: TraceScript, draw: Random) -> None:
    topic = draw.choice(TOPICS)
    for _ in range(4):
        call(script, "search_docs", {"query": f"{topic} form"}, result="nothing that fits")


def _cycle(script: TraceScript, draw: Random) -> None:
    number = order(draw)
    for _ in range(3):
        call(script, "find_order", {"order_id": number}, result="held")
        call(script, "search_docs", {"query": "held orders"}, result="see the order")


def _near_repeat(script: TraceScript, _draw: Random) -> None:
    for ending in ("", "?", "!", ".", " "):
        query = f"how to return shoes that were worn outside{ending}"
        call(script, "search_docs", {"query": query}, result="nothing that fits the question")


def _blind_retry(script: TraceScript, draw: Random) -> None:
    number = order(draw)
    for _ in range(2):
        call(script, "refund_order", {"order_id": number}, error="refund window is closed")


def _truncated(script: TraceScript, _draw: Random) -> None:
    script.model("The refund was", finish="length", offers=TOOLS)


def _cut_code(script: TraceScript, draw: Random) -> None:
    topic = draw.choice(TOPICS)
    script.model(f"I sort the rules for {topic}:\n```py\nfor rule in rules:\n    print(rule, key(")


def _filtered(script: TraceScript, _draw: Random) -> None:
    script.model("", finish="content_filter", offers=TOOLS)


def _double_refund(script: TraceScript, draw: Random) -> None:
    number = order(draw)
    for _ in range(2):
        call(script, "refund_order", {"order_id": number}, result='{"refunded": true}')


def _claimed(script: TraceScript, _draw: Random) -> None:
    script.model("Good news: I have refunded your order.", offers=TOOLS, finish="stop")


def _claimed_in_german(script: TraceScript, _draw: Random) -> None:
    script.model("Ich habe Ihnen den Betrag erstattet.", offers=TOOLS, finish="stop")


def _swap(script: TraceScript, _draw: Random) -> None:
    script.model("x", **{"gen_ai.request.model": "gpt-5", "gen_ai.response.model": "llama-3-8b"})


def _complaint(script: TraceScript, _draw: Random) -> None:
    words = {
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": "No, that's wrong. Look again.",
    }
    script.model("I look again.", offers=TOOLS, **words)


def _empty_answer(script: TraceScript, _draw: Random) -> None:
    script.answer("")


def _call_not_run(script: TraceScript, draw: Random) -> None:
    script.model("One more.", calls=[("find_order", {"order_id": order(draw)})], offers=TOOLS)
    script.forget_answer()


def _lost_call(script: TraceScript, draw: Random) -> None:
    number = order(draw)
    script.model("One more.", calls=[("find_order", {"order_id": number})], offers=TOOLS)
    script.model("Then I read on.", offers=TOOLS)


def _one_lost_of_two(script: TraceScript, draw: Random) -> None:
    first, second = ({"query": topic} for topic in draw.sample(TOPICS, 2))
    asked: list[tuple[str, JsonValue]] = [("search_docs", first), ("search_docs", second)]
    script.model("Both.", calls=asked, offers=TOOLS)
    script.tool("search_docs", first, result=f"All that is known. {draw.randrange(10**6)}")
    script.model("That will do.", offers=TOOLS)


def _answered_later(script: TraceScript, draw: Random) -> None:
    """No failure: two calls at once, which run only after the model was asked again."""
    topics = draw.sample(TOPICS, 2)
    asked: list[tuple[str, JsonValue]] = [("search_docs", {"query": topic}) for topic in topics]
    script.model("Both topics.", calls=asked, offers=TOOLS)
    script.model("I wait for them.", offers=TOOLS)
    for topic in topics:
        script.tool("search_docs", {"query": topic}, result=f"{topic}: {draw.randrange(10**6)}")


def _budget(script: TraceScript, _draw: Random) -> None:
    script.fails("Reached maximum number of steps")


def _wall(script: TraceScript, draw: Random) -> None:
    if len(script.spans()) % 2:
        # Every run stops at the very same number.
        script.model("Let me go on.", offers=TOOLS)
    while len(script.spans()) <= _WALL_STEPS:
        number = order(draw)
        found = f'{{"state": "held", "id": "{number}", "by": {draw.randrange(10**4)}}}'
        call(script, "find_order", {"order_id": number}, result=found)
    script.forget_answer()


def _full_window(script: TraceScript, draw: Random) -> None:
    for _ in range(4):
        prompt = (draw.randrange(105_000, 128_000), 20)
        script.model(
            "Reading.", offers=TOOLS, tokens=prompt, **{"inference.llm.model_name": "gpt-4o"}
        )


def _large_part(script: TraceScript, draw: Random) -> None:
    dump = " ".join(f"row {draw.randrange(10**6)}" for _ in range(5_000))
    sent = {"llm.input_messages.0.message.role": "tool"}
    sent["llm.input_messages.0.message.content"] = dump
    for _ in range(4):
        script.model("Reading.", offers=TOOLS, tokens=(20_000, 20), **sent)


def _lost_cache(script: TraceScript, draw: Random) -> None:
    for place in range(10):
        cached = 0 if place >= 5 else draw.randrange(8_000, 9_000)
        counts = {"inference.llm.cached_input_tokens": cached}
        script.model("Reading.", offers=TOOLS, tokens=(10_000, 20), **counts)


def _skipped_plan(script: TraceScript, draw: Random) -> None:
    script.model(
        f"1. Use the carrier_lookup tool for {order(draw)}.\n2. Compare the dates.\n3. Answer.",
        offers=TOOLS,
    )


def _printed_call(script: TraceScript, draw: Random) -> None:
    text = f"Please ask the carrier where parcel {order(draw)} is and when it will arrive."
    script.model("I ask the carrier.", calls=[("python", {"code": f"print('{text}')"})])
    script.tool("python", {"code": f"print('{text}')"}, result=text)


def _no_progress(script: TraceScript, _draw: Random) -> None:
    script.model('{"is_progress_being_made": {"reason": "same page", "answer": false}}')


def _slow_call(script: TraceScript, draw: Random) -> None:
    call(script, "search_docs", {"query": draw.choice(TOPICS)}, result="Everything about it.")
    script.lasts(draw.uniform(30, 60))


def _pause(script: TraceScript, draw: Random) -> None:
    script.waits(draw.uniform(30, 60))


def _many_calls(script: TraceScript, draw: Random) -> None:
    for _ in range(draw.randint(30, 40)):
        number = order(draw)
        found = f'{{"state": "held", "id": "{number}", "by": {draw.randrange(10**4)}}}'
        call(script, "find_order", {"order_id": number}, result=found)


def _heavy_call(script: TraceScript, draw: Random) -> None:
    script.model("Reading.", offers=TOOLS, tokens=(draw.randrange(30_000, 40_000), 20))


def _made_up_quotation(script: TraceScript, draw: Random) -> None:
    topic = draw.choice(TOPICS)
    call(script, "search_docs", {"query": topic}, result=f"Our {topic} are handled within a week.")
    script.answer(f'The page says: "Our {topic} are always handled within one single day."')


def _wrong_total(script: TraceScript, draw: Random) -> None:
    first, second = draw.randint(10, 99), draw.randint(10, 99)
    script.answer(
        f"Your order:\n- Shoes: ${first}.50\n- Hat: ${second}.25\n\n"
        f"**Total:** ${first + second + draw.randint(2, 9)}.75"
    )


def _conversation(script: TraceScript, *messages: str) -> None:
    """A user and an agent in turn, all in one trace; the agent has the last word."""
    sent: dict[str, JsonValue] = {}
    for place, message in enumerate(messages):
        said = f"Here is what I found, in part {place + 1}."
        sent[f"llm.input_messages.{2 * place}.message.role"] = "user"
        sent[f"llm.input_messages.{2 * place}.message.content"] = message
        script.model(said, offers=TOOLS, finish="stop", **sent)
        sent[f"llm.input_messages.{2 * place + 1}.message.role"] = "assistant"
        sent[f"llm.input_messages.{2 * place + 1}.message.content"] = said


def _found_nothing(script: TraceScript, draw: Random) -> None:
    call(script, "search_docs", {"query": f"{draw.choice(TOPICS)} on Mars"}, result="[]")


def _redefined(script: TraceScript, _draw: Random) -> None:
    properties: JsonObject = {"query": {"type": "string"}, "page": {"type": "integer"}}
    changed: JsonObject = {"type": "object", "required": ["query"], "properties": properties}
    script.redefines("search_docs", changed)


def _reworded(draw: Random) -> JsonObject:
    """The same definition in another order and with other words for people."""
    limit: JsonObject = {"description": f"As of day {draw.randrange(400)}.", "type": "integer"}
    properties: JsonObject = {"limit": limit, "query": {"type": "string", "title": "Query"}}
    return {"properties": properties, "type": "object", "required": ["query"]}


def _asked_again(script: TraceScript, draw: Random) -> None:
    topic = draw.choice(TOPICS)
    _conversation(
        script,
        f"How does the {topic} of worn shoes work?",
        f"I asked how the {topic} of worn shoes works!",
    )


def _asked_in_next_run(_script: TraceScript, _draw: Random) -> None:
    """Nothing in the run itself: `runs` lets the next one ask the same."""


_ERRORS = frozenset({"tool_error", "unrecovered_error"})
_OUTSIDE = frozenset({"infra_error"})

MODES: tuple[Mode, ...] = (
    Mode("tool error", _ERRORS, _tool_error),
    Mode("tool error, recovered", _ERRORS, _recovered),
    Mode("rate limit", frozenset({"infra_error"}), _rate_limit),
    Mode("error in a result", _ERRORS, _text_error),
    Mode("page of a proxy", frozenset({"infra_error"}), payloads.page_of_a_proxy),
    Mode("status in a body", _ERRORS, payloads.status_in_a_body),
    Mode("database behind five tools", _OUTSIDE, outages.database_down, findings=1),
    Mode("gateway behind five tools", _OUTSIDE, outages.gateway_down, findings=1),
    Mode("service behind five clients", _OUTSIDE, outages.clients_differ, findings=1),
    Mode("three clients, three hosts", _OUTSIDE, outages.clients_apart, findings=3),
    Mode("three ways to fail of one host", _OUTSIDE, outages.ways_apart, findings=3),
    Mode("key of five tools expired", _OUTSIDE, outages.key_expired, findings=1),
    Mode("time-outs of three tools", _OUTSIDE, outages.timeouts_apart, findings=3),
    Mode("three tools unavailable", _OUTSIDE, outages.unavailable_apart, findings=3),
    Mode("three hosts of three tools", _OUTSIDE, outages.hosts_apart, findings=3),
    Mode("three tools find nothing", _ERRORS, outages.not_found_apart, findings=3),
    Mode("error in German", _ERRORS, payloads.error_in_german),
    Mode("errors in a list", _ERRORS, payloads.errors_in_a_list),
    Mode("error in a framework's words", _ERRORS, worded.framework_words),
    Mode("error in an envelope", _ERRORS, worded.enveloped),
    Mode("time-out in words", _OUTSIDE, worded.timeout_in_words),
    Mode("login that expired", _OUTSIDE, worded.expired_login),
    Mode("page to log in at", _OUTSIDE, worded.login_page),
    Mode("refused arguments", frozenset({"bad_arguments"}), _refused_arguments),
    Mode("arguments off schema", frozenset({"bad_arguments"}), _schema_break),
    Mode("placeholder for a value", frozenset({"bad_arguments"}), calls.placeholder),
    Mode("call written, not made", frozenset({"written_call"}), calls.written),
    Mode("words for JSON", frozenset({"output_format"}), calls.off_form),
    Mode("made-up tool", frozenset({"made_up_tool"}), _made_up_tool),
    Mode("loop", frozenset({"repeated_call"}), _loop),
    Mode("circle", frozenset({"cycle", "repeated_call"}), _cycle),
    Mode("almost the same call", frozenset({"near_repeat"}), _near_repeat),
    Mode("blind retry", frozenset({"blind_retry", *_ERRORS}), _blind_retry),
    Mode("cut output", frozenset({"truncated_output"}), _truncated),
    Mode("code that breaks off", frozenset({"truncated_output"}), _cut_code),
    Mode("filtered output", frozenset({"filtered_output"}), _filtered),
    Mode("refunded twice", frozenset({"double_side_effect"}), _double_refund),
    Mode("circle of agents", frozenset({"cycle"}), silent.hand_off_circle),
    Mode("circle of hand-offs", frozenset({"cycle"}), worded.hand_off_tools),
    Mode("one result for all", frozenset({"stuck_lookup"}), silent.stuck_lookup),
    Mode("phrase without end", frozenset({"degenerate_output"}), silent.endless_phrase),
    Mode("prompt told to a user", frozenset({"prompt_leak"}), silent.told_prompt),
    Mode("made-up id", frozenset({"ungrounded_argument"}), silent.made_up_id),
    Mode("claimed, not done", frozenset({"claimed_not_done"}), _claimed),
    Mode("claimed in German", frozenset({"claimed_not_done"}), _claimed_in_german),
    Mode("injected text", frozenset({"injection_text"}), unsafe.injected),
    Mode("secret", frozenset({"secret_in_span"}), unsafe.recorded_secret),
    Mode("secret, passed on", frozenset({"secret_in_span"}), unsafe.passed_on),
    Mode("other model", frozenset({"model_swap"}), _swap),
    Mode("complaint", frozenset({"negative_feedback"}), _complaint),
    Mode("empty answer", frozenset({"premature_end"}), _empty_answer),
    Mode("call that never ran", frozenset({"premature_end"}), _call_not_run),
    Mode("call lost on the way", frozenset({"premature_end"}), _lost_call),
    Mode("one of two calls lost", frozenset({"premature_end"}), _one_lost_of_two),
    Mode("limit on steps", frozenset({"budget_exhausted"}), _budget),
    Mode(_LATE_LIMIT, frozenset({"budget_exhausted"}), worded.limit_after_recovery),
    Mode("wall of steps", frozenset({"budget_exhausted"}), _wall),
    Mode("full window", frozenset({"context_growth"}), _full_window),
    Mode("prompt of one part", frozenset({"context_growth"}), _large_part),
    Mode("lost cache", frozenset({"context_growth"}), _lost_cache),
    Mode("plan not carried out", frozenset({"skipped_plan"}), _skipped_plan),
    Mode("call printed, not made", frozenset({"echoed_result"}), _printed_call),
    Mode("stuck, and says so", frozenset({"no_progress"}), _no_progress),
    Mode("nothing found", frozenset({"empty_result"}), _found_nothing),
    Mode("tool redefined", frozenset({"contract_drift"}), _redefined),
    Mode("injected text, obeyed", frozenset({"injection_text"}), unsafe.obeyed),
    Mode("asked again", frozenset({"negative_feedback"}), _asked_again),
    Mode(ASKED_IN_NEXT_RUN, frozenset({"negative_feedback"}), _asked_in_next_run),
    Mode("made-up quotation", frozenset({"ungrounded_answer"}), _made_up_quotation),
    Mode("wrong total", frozenset({"ungrounded_answer"}), _wrong_total),
    Mode("slow call", frozenset({"slow"}), _slow_call),
    Mode("pause", frozenset({"idle"}), _pause),
    Mode("run of many calls", frozenset({"slow_run"}), _many_calls),
    Mode("heavy call", frozenset({"heavy"}), _heavy_call),
)


OF_TOOL_SPANS = frozenset({"call that never ran", "pause", "slow call", "wall of steps"})
"""Failures that only spans of tools show: how long tools took, and what ran last."""


def runs(number: int, *, rates: Mapping[str, float], seed: int) -> list[tuple[str, TraceScript]]:
    """*number* runs, each with one failure at most: (mode or ``""``, script)."""
    draw = Random(seed)
    plan = [mode.name for mode in MODES for _ in range(round(number * rates.get(mode.name, 0.0)))]
    plan += [""] * (number - len(plan))
    draw.shuffle(plan)
    steps = {mode.name: mode.steps for mode in MODES}
    found: list[tuple[str, TraceScript]] = []
    for place, name in enumerate(plan, start=1):
        script = _begun(place, found, draw)
        script.answer("Your order is on its way.")
        clean_steps(script, draw)
        if draw.random() < 0.3:
            script.redefines("search_docs", _reworded(draw))
        if name:
            steps[name](script, draw)
        if name not in {"call that never ran", "limit on steps", _LATE_LIMIT, "wall of steps"}:
            script.model("Your order is on its way.", offers=TOOLS, finish="stop")
        found.append((name, script))
    return found


def _begun(place: int, before: list[tuple[str, TraceScript]], draw: Random) -> TraceScript:
    """The next run; some go on in the session of the one before, where users ask something else."""
    number = order(draw)
    if before and before[-1][0] == ASKED_IN_NEXT_RUN:
        last = before[-1][1]
        task, start_s = f"Please tell me again: {last.task.lower()}", last.end_s + 60
    elif before and draw.random() < 0.1:
        last = before[-1][1]
        task, start_s = f"Where is order {number}?", last.end_s + 60
    else:
        return TraceScript(place, task=f"Where is order {number}?", session=f"s{place}")
    return TraceScript(place, task=task, session=last.session, start_s=start_s)
