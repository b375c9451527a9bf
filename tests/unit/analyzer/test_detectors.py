from random import Random

import pytest

from bench.faults.__main__ import analyse, score, spans_of
from bench.faults.catalogue import MODES, clean_steps, runs
from halo_daemon.analyzer.contract_file import contract_of
from halo_daemon.analyzer.miner import mine
from halo_daemon.analyzer.rules.model_use import is_same_family
from halo_daemon.analyzer.rules.side_effects import is_source
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.findings import to_json
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import observed, report_of
from tests.unit.analyzer.test_rules import ASK, calls


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_every_injected_failure_is_found_and_nothing_else(mode):
    """In a hundred runs with five failures, or ten of each kind, it names those runs alone."""
    rate = 0.1 * mode.findings if mode.findings > 1 else 0.05
    plan = runs(100, rates={mode.name: rate}, seed=11)
    hit = {script.trace_id for name, script in plan if name == mode.name}

    report = report_of([script for _, script in plan])

    right = [
        f for f in report.findings if f.source.partition(":")[2].partition("@")[0] in mode.rules
    ]
    names = {f.finding_id for f in right}
    assert mode.findings in {0, len(right)}
    assert {row.trace_id for row in report.traces if names & set(row.findings)} == hit
    assert [f.title for f in report.findings if f not in right and f.severity != "low"] == []


_TOLD = ["tool error", "loop", "nothing found", "refused arguments", "gateway behind five tools"]


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode.name in _TOLD])
def test_failures_of_tools_are_found_where_only_messages_tell_of_them(mode):
    """Without a span of any tool the same runs are named, and nothing else is."""
    rate = 0.1 if mode.findings else 0.05
    plan = runs(100, rates={mode.name: rate}, seed=11)
    hit = {script.trace_id for name, script in plan if name == mode.name}

    report = analyse(spans_of([script for _, script in plan], in_messages=True))

    scored = score(mode.name, report, hit, mode.rules)
    assert (scored.recall, scored.precision, scored.wrong) == (1.0, 1.0, ())
    assert scored.is_inside


@pytest.mark.parametrize("in_messages", [False, True], ids=["spans", "messages"])
def test_a_clean_window_gives_nothing_above_low(in_messages):
    """Polling, paging and working tools are no findings."""
    scripts = [script for _, script in runs(300, rates={}, seed=5)]
    report = analyse(spans_of(scripts, in_messages=in_messages))

    assert [f.title for f in report.findings if f.severity not in {"low", "info"}] == []


def looping(*results):
    """Two calls in turn, three rounds, with those results for the second one."""
    steps = []
    for result in results:
        steps += [("find_a", {"n": 1}, "same"), ("find_b", {"n": 2}, result)]
    return calls(*steps)


def growing(*prompts):
    """Model calls with prompts of those sizes."""
    script = TraceScript()
    for tokens in prompts:
        script.model("x", tokens=(tokens, 20))
    return script.answer("done")


def fading(*outputs):
    """Model calls with answers of those lengths."""
    script = TraceScript()
    for tokens in outputs:
        script.model("x", tokens=(100, tokens))
    return script.answer("done")


def answering(text, *, result="Order A-1042 costs 79999 cents, see https://shop.example/a"):
    """A look-up and an answer."""
    return calls(("find_order", {"id": 1}, result)).answer(text)


def told(text, *steps):
    """Tool calls, then words to the user."""
    script = calls(*steps)
    return script.model(text).answer("Bye.")


FIRES = [
    pytest.param("cycle", looping("x", "x", "x"), id="circle"),
    pytest.param("context_growth", growing(10_000, 20_000, 40_000, 60_000), id="growth"),
    pytest.param("output_decay", fading(*[200] * 9, 10, 10, 10), id="decay"),
    pytest.param("refusal", answering("I'm sorry, but I can't help with that."), id="refusal"),
    pytest.param("refusal", answering("Tut mir leid, aber das kann ich nicht."), id="in German"),
    pytest.param("ungrounded_answer", answering("It costs 123456 cents."), id="number"),
    pytest.param("ungrounded_answer", answering("See https://other.example/b."), id="address"),
    pytest.param("ungrounded_answer", answering("Your order B-9999X is sent."), id="code"),
    pytest.param(
        "claimed_not_done",
        told("I have booked the table.", ("book_table", {"n": 2}, "!no table is free")),
        id="claim after a failure",
    ),
    pytest.param("empty_result", calls(("search", ASK, "[]")), id="nothing found"),
    pytest.param(
        "failed_value_used",
        calls(
            ("quote_fare", {"to": "X"}, "!expired, last offer was QX77812"),
            ("book_fare", {"offer": "QX77812"}, "ok"),
        ),
        id="value of a failed call",
    ),
    pytest.param(
        "double_side_effect",
        calls(
            ("send_email", {"to": "a"}, "ok"),
            ("x", {"a": 1}, "y"),
            ("send_email", {"to": "a"}, "ok"),
        ),
        id="sent twice",
    ),
    pytest.param(
        "negative_feedback",
        TraceScript().model("x", **{"feedback.score": 0.0}).answer("y"),
        id="a bad score",
    ),
]

STAYS_QUIET = [
    pytest.param("cycle", looping("x", "y", "z"), id="results that change"),
    pytest.param("cycle", looping("x", "x"), id="two rounds"),
    pytest.param("context_growth", growing(10_000, 20_000, 30_000, 40_000), id="four-fold"),
    pytest.param("context_growth", growing(100, 200, 400, 600), id="small prompts"),
    pytest.param("output_decay", fading(*[200] * 9, 10, 10, 200), id="one long answer at the end"),
    pytest.param("output_decay", fading(*[10] * 9, 1, 1, 1), id="short answers all along"),
    pytest.param("refusal", answering("Sorry for the delay. It is sent."), id="an apology"),
    pytest.param(
        "ungrounded_answer",
        answering("Order A-1042 costs 79999 cents: https://shop.example/a."),
        id="all of it in a result",
    ),
    pytest.param(
        "ungrounded_answer", answering("In 2026 it will be 42."), id="years and small ones"
    ),
    pytest.param("ungrounded_answer", answering("```\nx = 123456\n```"), id="code"),
    pytest.param(
        "claimed_not_done",
        told("I have booked the table.", ("book_table", {"n": 2}, "ok")),
        id="it was done",
    ),
    pytest.param(
        "claimed_not_done",
        told("I have not booked it.", ("book_table", {"n": 2}, "!no table is free")),
        id="a negation",
    ),
    pytest.param(
        "claimed_not_done", told("I have booked it.", ("bash", {"c": "x"}, "ok")), id="a shell"
    ),
    pytest.param(
        "empty_result", calls(("search", ASK, "[]"), ("search", {"q": "b"}, "x")), id="asked again"
    ),
    pytest.param("empty_result", calls(("think", {"t": "x"}, "")), id="a tool that says nothing"),
    pytest.param("empty_result", calls(("update_row", {"t": 1}, "")), id="a write"),
    pytest.param(
        "failed_value_used",
        calls(
            ("quote_fare", {"to": "X"}, "!expired, last offer was QX77812"),
            ("quote_fare", {"to": "Y"}, "offer QX77812"),
            ("book_fare", {"offer": "QX77812"}, "ok"),
        ),
        id="supplied by another call",
    ),
    pytest.param(
        "double_side_effect",
        calls(("send_email", {"to": "a"}, "ok"), ("send_email", {"to": "b"}, "ok")),
        id="sent to another",
    ),
    pytest.param(
        "double_side_effect",
        calls(("send_email", {"to": "a"}, "!refused"), ("send_email", {"to": "a"}, "ok")),
        id="only one went through",
    ),
    pytest.param(
        "double_side_effect", calls(*[("get_order", {"n": 1}, "x")] * 2), id="looked at twice"
    ),
    pytest.param(
        "injection_text",
        calls(("read", ASK, "The instructions for use are inside.")),
        id="a manual",
    ),
    pytest.param("secret_in_span", calls(("read", ASK, "sk-short and AKIA alone")), id="no key"),
]


@pytest.mark.parametrize(("rule", "script"), FIRES)
def test_a_detector_finds_its_failure(rule, script):
    """The rule reports the trace."""
    assert rule in {name for name, _ in observed(script)}


@pytest.mark.parametrize(("rule", "script"), STAYS_QUIET)
def test_a_detector_leaves_a_near_miss_alone(rule, script):
    """What looks alike and is no failure is not reported."""
    assert rule not in {name for name, _ in observed(script)}


@pytest.mark.parametrize(
    ("asked", "served", "same"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("openai/gpt-4o", "gpt-4o", True),
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929", True),
        ("gemini-2.5-pro", "gemini-2.5-pro-preview", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-5", "llama-3-8b", False),
    ],
)
def test_a_dated_name_is_the_same_model(asked, served, same):
    """Provider, date and version do not make another model; a size does."""
    assert is_same_family(asked, served) is same


@pytest.mark.parametrize(
    ("address", "pattern", "is_hit"),
    [
        ("internal-wiki/page", "internal-wiki", True),
        ("a.corp.example/x", "*.corp.example", True),
        ("corp.example", "*.corp.example", False),
        ("docs.example.com/private/1", "docs.example.com/private", True),
        ("docs.example.com/public/1", "docs.example.com/private", False),
        ("notcorp.example", "corp.example", False),
    ],
)
def test_sources_are_hosts_and_paths(address, pattern, is_hit):
    """A pattern names a host with what lies below it, or the beginning of a path."""
    assert is_source(address, pattern) is is_hit


CONTRACT = contract_of(
    {
        "version": 1,
        "tools": {
            "issue_refund": {
                "side_effecting": True,
                "idempotent": False,
                "requires": [{"tool": "verify_customer", "same": "/id"}],
                "failure_when": [{"pointer": "/status", "in": ["rejected"]}],
                "input_schema": {"type": "object", "required": ["id"]},
            },
            "poll_me": {"polling": True},
        },
        "off_limits": ["internal-wiki.example"],
    }
)


@pytest.mark.parametrize(
    ("rule", "script"),
    [
        ("precondition", calls(("issue_refund", {"id": 1}, '{"status": "done"}'))),
        (
            "precondition",
            calls(("verify_customer", {"id": 2}, "ok"), ("issue_refund", {"id": 1}, "{}")),
        ),
        ("tool_error", calls(("issue_refund", {"id": 1}, '{"status": "rejected"}'))),
        ("bad_arguments", calls(("issue_refund", {"customer": 1}, "{}"))),
        ("double_side_effect", calls(*[("issue_refund", {"id": 1}, '{"status": "done"}')] * 2)),
        ("off_limits_source", calls(("fetch", {"url": "https://internal-wiki.example/a"}, "x"))),
        (
            "off_limits_source",
            TraceScript().model("x").answer("See https://internal-wiki.example/a."),
        ),
    ],
)
def test_a_contract_makes_rules_sharp(rule, script):
    """What a project states about its tools is held against what they did."""
    assert rule in {name for name, _ in observed(script, contract=CONTRACT)}


@pytest.mark.parametrize(
    ("rule", "script"),
    [
        (
            "precondition",
            calls(("verify_customer", {"id": 1}, "ok"), ("issue_refund", {"id": 1}, "{}")),
        ),
        ("repeated_call", calls(*[("poll_me", {"id": 1}, "running")] * 4)),
        ("off_limits_source", calls(("fetch", {"url": "https://open-wiki.example/a"}, "x"))),
        ("off_limits_source", TraceScript().model("x").answer("See https://open-wiki.example/a.")),
    ],
)
def test_a_contract_that_is_kept_is_quiet(rule, script):
    """Nothing is reported where the contract holds."""
    assert rule not in {name for name, _ in observed(script, contract=CONTRACT)}


def test_a_doubled_side_effect_is_critical():
    """One trace is enough where the contract says that it must happen once."""
    script = calls(*[("issue_refund", {"id": 1}, '{"status": "done"}')] * 2)

    report = report_of([script], settings=MinerSettings(contract=CONTRACT))

    assert report.findings[0].severity == "critical"


def test_without_a_contract_it_is_said_what_was_not_checked():
    """Rules that need one say so."""
    script = TraceScript(task="Where is order A-1001?")
    clean_steps(script, Random(1))

    known = mine([script.build()], MinerSettings())

    assert known.checked["off_limits_source@1"].not_checked["needs_contract"] == 1


@pytest.mark.parametrize(
    "document",
    [{"version": 2}, {"tolls": {}}, {"tools": {"x": {"idempotnt": True}}}, {"off_limits": "x"}],
)
def test_a_wrong_contract_is_refused(document):
    """A typo in the contract is an error."""
    with pytest.raises(ValueError, match="validation error"):
        contract_of(document)


def test_a_secret_is_not_shown():
    """Only its first characters stand in the report."""
    key = "AKIA" + "Q7ZK" * 4
    scripts = [
        TraceScript(n)
        .model("x")
        .tool("read", {"n": 1}, result=f"key {key}")
        .tool("look", {"n": 2}, error=f"Error: cannot use {key}")
        for n in range(1, 5)
    ]

    report = report_of(scripts)

    (finding,) = [f for f in report.findings if f.source == "rule:secret_in_span@2"]
    assert finding.evidence[0].quote == "AKIAQ7"
    assert report.privacy.values_redacted > 0
    assert key not in to_json(report).decode()


def test_the_first_secret_is_cited():
    """Neither a word that only begins like a key nor a later key of another mark is cited."""
    keys = [mark + "Q7ZK" * 4 for mark in ("ASIA", "AKIA")]
    result = f"AKIA-{keys[1]}x, xAKIA{keys[1]}; {keys[0]} and {keys[1]}"
    scripts = [TraceScript(n).model("x").tool("read", {"n": 1}, result=result) for n in range(1, 5)]

    report = report_of(scripts)

    (finding,) = [f for f in report.findings if f.source == "rule:secret_in_span@2"]
    assert finding.evidence[0].quote == "ASIAQ7"


@pytest.mark.parametrize(
    "words",
    [
        *("that is not what I meant", "that's not right", "thats not correct", "that is not true"),
        *("that is wrong", "that's incorrect", "you are mistaken", "you're not listening"),
        *("no, that's wrong", "I already told you", "I just asked", "you didn't answer"),
        *("you did not do what it says", "not what I wanted"),
        *("this is useless", "this is ridiculous", "this is unacceptable"),
        *("das ist falsch", "das war nicht das, was ich wollte", "das stimmt nicht"),
        *("danach habe ich nicht gefragt", "c'est faux", "ce n'est pas ce que j'ai dit"),
        *("das ist Unsinn", "das ist nicht korrekt", "das hatte ich nicht gemeint"),
        *("damit ist meine Frage nicht beantwortet", "c'est pas vrai", "c'est incorrect"),
        *("eso no es correcto", "no es lo que pedí", "eso está mal", "eso esta mal"),
        *("eso es incorrecto", "è sbagliato", "non è quello che ho chiesto"),
        *("isso está errado", "não foi o que pedi", "não foi isso o que eu pedi"),
    ],
)
def test_a_complaint_is_heard_in_any_case(words):
    """Every way to complain is found in small letters and in capitals."""
    for said in (words, words.upper()):
        message = {"role": "user", "content": f"Hm, {said}!"}
        key = "llm.input_messages.0.message"
        script = TraceScript().model("It is on its way.")
        script.model("x", **{f"{key}.{part}": message[part] for part in message})

        assert "negative_feedback" in {name for name, _ in observed(script.answer("y"))}
