import random
from html import escape

import pytest

from halo_daemon.analyzer.assemble import assemble
from halo_daemon.analyzer.features import MAX_FEATURES, Feature, features_of
from halo_daemon.analyzer.figures import association
from halo_daemon.analyzer.miner import mine
from halo_daemon.analyzer.outcome import Outcome, outcome_of
from halo_daemon.analyzer.render_html import render_html
from halo_daemon.analyzer.render_markdown import render_markdown
from halo_daemon.analyzer.run import state_outcomes
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.spans import make_span
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import report_of


def ran(number, *tools, version="1.0", padding=0):
    """A run that calls those tools, and as many others as padding says."""
    script = TraceScript(number, version=version, task=f"task {number}")
    for place in range(padding):
        script.model("x").tool("filler", {"n": place}, result=f"r{place}")
    for tool in tools:
        script.model("x").tool(tool, {"n": number}, result=f"r{number}")
    return script.answer("done")


def test_what_goes_with_failure_is_found():
    """A tool that failed runs use and others do not is named, with its odds."""
    scripts = [ran(n, "old_api").outcome("failed") for n in range(1, 31)]
    scripts += [ran(n, "new_api").outcome("ok") for n in range(31, 91)]

    report = report_of(scripts)

    (found,) = [f for f in report.findings if f.source == "rule:contrast@1"]
    assert "old_api" in found.title
    assert "fail more often" in found.title
    assert found.association.q < 0.05
    assert found.association.wording == "goes with"
    assert found.verified


def contrasts(scripts):
    """Titles of the contrasts in the report of a window."""
    return [f.title for f in report_of(scripts).findings if f.source == "rule:contrast@1"]


def test_two_features_that_fail_only_together_are_named_together():
    """A version and a tool, each harmless alone, are one contrast where they meet."""
    scripts = []
    for number in range(1, 161):
        version, tool = ("2.0" if number % 2 else "1.0"), ("pay" if number % 4 < 2 else "look")
        fails = version == "2.0" and tool == "pay"
        script = ran(number, tool, version=version)
        scripts.append(script.outcome("failed" if fails else "ok"))

    (title, *_) = contrasts(scripts)

    assert "service.version 2.0" in title
    assert "tool pay" in title


def test_the_place_where_failed_runs_part_is_named():
    """Of beginnings that go with failure the shortest stands for all that mark the same runs."""
    scripts = [ran(n, "find", "open", "skim", "send").outcome("failed") for n in range(1, 31)]
    scripts += [ran(n, "find", "read", "note", "send").outcome("ok") for n in range(31, 91)]

    titles = contrasts(scripts)

    assert len(titles) == 1


def test_many_tools_do_not_crowd_out_what_a_run_was_given():
    """The version of a run is a feature of it however many tools the run used."""
    script = ran(1, *[f"tool_{place:03d}x{'abcdefghij'[place % 10]}" for place in range(200)])

    features = features_of(TraceView(script.build(), MinerSettings()))

    assert len(features) == MAX_FEATURES
    assert Feature("service.version", "", "1.0") in features


def test_length_alone_is_no_contrast():
    """A tool that only long runs use does not go with failure because long runs fail."""
    draw = random.Random(3)
    scripts = []
    for number in range(1, 241):
        is_long = number % 2 == 0
        script = ran(
            number,
            *(["deep_dive"] if is_long and draw.random() < 0.8 else []),
            padding=20 if is_long else 2 + number % 3,
        )
        scripts.append(
            script.outcome("failed" if draw.random() < (0.8 if is_long else 0.1) else "ok")
        )

    report = report_of(scripts)

    assert [f.title for f in report.findings if f.source == "rule:contrast@1"] == []


def test_shuffled_outcomes_give_no_discoveries():
    """Where outcomes are drawn by lot, next to nothing is claimed over twenty draws."""
    draw = random.Random(1)
    scripts = [
        ran(n, *draw.sample(["a", "b", "c", "d", "e", "f"], 3), padding=n % 7)
        for n in range(1, 101)
    ]
    known = mine([script.build() for script in scripts], MinerSettings())
    ids = sorted(known.traces)
    discoveries = 0

    for seed in range(20):
        failed = set(random.Random(seed).sample(ids, 40))
        verdicts = {t: Outcome("failed" if t in failed else "ok", "label") for t in ids}
        state_outcomes(known, verdicts)
        discoveries += assemble(known, MinerSettings()).discoveries

    assert discoveries / 20 <= 0.05


def test_without_outcomes_nothing_is_tested():
    """The report says so, and what to record."""
    report = report_of([ran(n, "a") for n in range(1, 21)])

    assert report.coverage.tests == 0
    assert "nothing was tested against the outcome" in report.limits[0]


def test_releases_are_compared():
    """A failure that came with a release is in the release difference."""
    scripts = [ran(n, "a", version="1.8.1") for n in range(1, 41)]
    for number in range(41, 81):
        script = TraceScript(number, version="1.8.2").model("x")
        scripts.append(
            script.tool("a", {"n": 1}, error="broken")
            if number % 2
            else script.tool("a", result="fine")
        )

    report = report_of(scripts)

    (row,) = report.release_diff
    assert (row.from_, row.to) == ("1.8.1", "1.8.2")
    assert row.diff == 0.5
    assert row.ci95[0] > 0


def test_what_came_and_went_is_told():
    """New and gone tools and versions are named, against the report before."""
    before = report_of([ran(n, "old_tool", version="1") for n in range(1, 41)])
    after = report_of(
        [ran(n, "new_tool", version="2") for n in range(41, 81)],
        previous=before,
        window=Window(0, 2**62),
    )

    changes = {(row.change, row.kind, row.name) for row in after.what_changed}

    assert ("new", "tool", "new_tool") in changes
    assert ("gone", "tool", "old_tool") in changes
    assert ("new", "service.version", "2") in changes
    assert before.what_changed == ()


def test_two_features_are_not_named_for_what_one_of_them_does():
    """Runs of a version fail, with a tool and without it: the two together say nothing more."""
    scripts = []
    for number in range(1, 161):
        version, tool = ("2.0" if number % 2 else "1.0"), ("pay" if number % 4 < 2 else "look")
        fails = version == "2.0" and number % 3 == 0
        script = ran(number, tool, version=version)
        scripts.append(script.outcome("failed" if fails else "ok"))

    (title,) = contrasts(scripts)

    assert title == "Runs of version `2.0` fail more often"


def test_what_has_no_occurrences_is_not_said_to_have_none():
    """A contrast counts runs; a reader of thirty failed ones is not told of no occurrence."""
    scripts = [ran(n, "old_api").outcome("failed") for n in range(1, 31)]
    scripts += [ran(n, "new_api").outcome("ok") for n in range(31, 91)]

    assert "0 occurrences" not in render_markdown(report_of(scripts))


def test_a_window_of_few_traces_is_no_measure_of_what_is_new():
    """What some runs use was no news when the window before held three; what all use is."""
    few = report_of([ran(n, "always", version="1") for n in range(1, 4)])
    many = [ran(n, "always", *["rare"] * (n % 5 == 0), version="2") for n in range(11, 71)]
    after = report_of(many, previous=few, window=Window(0, 2**62))

    changes = {(row.change, row.kind, row.name) for row in after.what_changed}

    assert ("new", "service.version", "2") in changes
    assert ("new", "tool", "rare") not in changes


def asking(number, fails, verdict):
    """A run of one call, which fails or not; with what became of it."""
    error = "the shop is closed to me today" if fails else ""
    return (
        TraceScript(number, task=f"task {number}")
        .model("x")
        .tool("ask", {"n": number}, result="" if fails else "open", error=error)
        .answer("done")
        .outcome(verdict)
    )


@pytest.mark.parametrize(
    ("of_failed", "of_ok", "wording"),
    [
        pytest.param(24, 6, "goes with failed traces", id="more often"),
        pytest.param(6, 24, "is rarer in failed traces", id="less often"),
        pytest.param(16, 14, "is not shown to go with failed traces", id="chance"),
    ],
)
def test_what_is_said_of_the_outcome_is_what_was_found(of_failed, of_ok, wording):
    """Only what passes all tests goes with failure, and only where its odds are higher."""
    scripts = [asking(n, n <= of_failed, "failed") for n in range(1, 31)]
    scripts += [asking(n, n <= 30 + of_ok, "ok") for n in range(31, 61)]

    report = report_of(scripts)

    (found,) = [f for f in report.findings if f.source == "rule:tool_error@3"]
    assert f"**Outcome** {wording}: odds ratio" in render_markdown(report)
    assert escape(association(found.association)) in render_html(report)


@pytest.mark.parametrize(
    ("attributes", "status", "outcome"),
    [
        ({}, "STATUS_CODE_UNSET", ("unknown", "none")),
        ({}, "STATUS_CODE_OK", ("ok", "status")),
        ({}, "STATUS_CODE_ERROR", ("failed", "status")),
        ({"outcome": "failed"}, "STATUS_CODE_OK", ("failed", "label")),
        ({"eval.score": 0.2, "outcome": "ok"}, "STATUS_CODE_OK", ("failed", "evaluator")),
        ({"feedback.score": 1, "eval.score": 0.0}, "STATUS_CODE_OK", ("ok", "feedback")),
        ({"eval.label": "thumbs_down"}, "STATUS_CODE_OK", ("failed", "evaluator")),
        ({"outcome": "maybe"}, "STATUS_CODE_UNSET", ("unknown", "none")),
    ],
)
def test_outcomes_come_from_people_first(attributes, status, outcome):
    """Feedback, then evaluators, then labels, then the status of the root."""
    span = make_span(attributes=attributes, status_code=status)
    trace = TraceScript().build().merge([span])

    assert outcome_of(trace, span) == outcome


def test_what_failing_calls_change_in_a_run_is_no_finding_beside_them():
    """Where the runs of a sequence all have an error that goes with failure, the error is told."""
    scripts = []
    for number in range(1, 121):
        script = TraceScript(number, task=f"task {number}")
        fails = number % 4 == 0
        if fails:
            error = "RuntimeError: no backend"
            script.model("x").tool("find", {"n": number}, error=error)
            # Half of them try another way, which nothing else does.
            tools = ("ask", "wait", "ask") if number % 8 == 0 else ("ask", "read")
        else:
            tools = ("find", "read") if number % 8 < 4 else ("find", "read", "find")
        for tool in tools:
            script.model("x").tool(tool, {"n": number, "of": tool}, result=f"r{number}")
        scripts.append(script.answer("done").outcome("failed" if fails else "ok"))

    sources = {f.source for f in report_of(scripts).findings}

    assert "rule:tool_error@3" in sources
    assert "rule:contrast@1" not in sources
