"""What a project's own rule puts together is one finding, whoever it hits tonight."""

import pytest

from halo_daemon.analyzer.contract_file import contract_of
from halo_daemon.analyzer.gate import baseline_of, judge
from halo_daemon.analyzer.render_markdown import render_markdown
from halo_daemon.analyzer.render_text import render_text
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import report_of
from tests.unit.analyzer.test_shared_cause import TOOLS, Nights, about_errors, using, window_with

GONE = "the order is gone"
WORDS = dict(zip(TOOLS, (GONE, "no such order is gone", "stock of what is gone"), strict=True))
"""What no rule of the program would put together."""


def merging(*rules):
    """Settings with grouping rules."""
    rows = [{"when": when, "merge_as": name} for when, name in rules]
    return MinerSettings(contract=contract_of({"grouping": rows}))


OURS = merging(({"template": "gone"}, "gone-things"))


@pytest.fixture
def nights(tmp_path):
    """A project without a past."""
    return Nights(tmp_path)


def errors_of(report):
    """Its findings about errors."""
    return about_errors(report.findings)


def test_a_rule_without_a_tool_merges_over_tools():
    """It is one finding under the chosen name, counted over the traces of any of the tools."""
    assert len(errors_of(report_of(window_with(WORDS)))) == 3

    (finding,) = errors_of(report_of(window_with(WORDS, fine=16), settings=OURS))

    assert (finding.counts.affected_traces, finding.counts.eligible_traces) == (12, 60)
    shares = {row.name: (row.affected, row.eligible) for row in finding.by_subject}
    assert shares == dict.fromkeys(TOOLS, (4, 20))
    assert "`gone-things`" in finding.title
    assert len(finding.merged_from) == 3


def test_a_rule_without_an_agent_merges_over_agents():
    """Whoever calls, it is the same thing to the project; a named agent stays by itself."""
    scripts = [
        using(number, "find_order", GONE, agent="support" if number % 2 else "billing")
        for number in range(1, 17)
    ]
    of_one = merging(({"template": "gone", "agent": "billing"}, "gone-things"))

    (together,) = errors_of(report_of(scripts, settings=OURS))
    apart = errors_of(report_of(scripts, settings=of_one))

    assert {row.agent for row in together.by_subject} == {"support", "billing"}
    assert sorted(f.fingerprint.parts[1] for f in apart) == ["billing", "support"]


def test_a_rule_with_a_tool_leaves_the_others():
    """What `when` names is not merged over."""
    settings = merging(({"template": "gone", "tool": "find_order"}, "gone-things"))

    findings = errors_of(report_of(window_with(WORDS), settings=settings))

    assert sorted(f.fingerprint.parts[2] for f in findings) == sorted(TOOLS)


def test_names_that_are_alike_stay_two():
    """A person's words are not compared as words of errors are."""
    settings = merging(
        ({"tool": "find_order"}, "things that are gone in orders"),
        ({"tool": "get_stock"}, "things that are gone in stock"),
    )

    assert len(errors_of(report_of(window_with(WORDS), settings=settings))) == 3


def test_two_detectors_are_two_findings_of_one_name():
    """They are counted over other traces and have other remedies."""
    errors = {"find_order": GONE, "get_stock": "ConnectionError: db:5432 is gone"}

    findings = errors_of(report_of(window_with(errors), settings=OURS))

    assert len({f.finding_id for f in findings}) == 2
    assert all("`gone-things`" in f.title for f in findings)


def test_members_come_and_go(nights):
    """The id stays, no member is called new or resolved, and those known keep counting."""
    plans = [TOOLS[:1], TOOLS, TOOLS[1:], TOOLS[2:], TOOLS[:1]]
    reports = [nights.report({tool: WORDS[tool] for tool in plan}, settings=OURS) for plan in plans]

    found = [errors_of(report)[0] for report in reports]
    assert len({finding.finding_id for finding in found}) == 1
    assert [finding.state for finding in found] == [
        "new",
        "ongoing",
        "ongoing",
        "ongoing",
        "ongoing",
    ]
    assert [report.resolved for report in reports] == [()] * 5
    assert [len(finding.by_subject) for finding in found] == [1, 3, 3, 3, 3]
    assert found[4].counts.eligible_traces == 34


def test_what_was_found_before_the_rule_goes_on_in_it(nights):
    """Also the tool that does not fail in the rule's first night, and it is not resolved."""
    parts = {f.fingerprint.parts[2]: f for f in errors_of(nights.report(WORDS))}
    two = {tool: WORDS[tool] for tool in TOOLS[:2]}

    first = nights.report(two, settings=OURS)
    second = nights.report(WORDS, settings=OURS)

    for report in (first, second):
        (whole,) = errors_of(report)
        assert set(whole.supersedes) == {part.finding_id for part in parts.values()}
        assert whole.state == "ongoing"
        assert report.resolved == ()
    assert len(errors_of(first)[0].by_subject) == 3


def test_the_ledger_lists_one_open_finding(nights):
    """What a list shows after each night is the named finding, and its parts under it."""
    nights.report(WORDS)
    for plan in (TOOLS[:2], TOOLS[2:], TOOLS):
        report = nights.report({tool: WORDS[tool] for tool in plan}, settings=OURS)
        (whole,) = errors_of(report)
        histories = nights.past.recall().histories

        listed = [
            history.finding_id
            for history in histories.values()
            if not history.superseded_by and history.state != "resolved"
        ]
        assert listed == [whole.finding_id]


def test_a_named_finding_is_resolved_by_the_traces_of_all_its_tools(nights):
    """And a member that fails again reopens it."""
    nights.report(WORDS, settings=OURS)

    (row,) = nights.report({}, settings=OURS).resolved
    (again,) = errors_of(nights.report({"get_stock": WORDS["get_stock"]}, settings=OURS))

    assert (row.state, row.exposure) == ("resolved", 30)
    assert (again.finding_id, again.state) == (row.finding_id, "reopened")


def test_without_the_rule_the_parts_go_on(nights):
    """None of them is new, and the whole is not resolved."""
    nights.report(WORDS, settings=OURS)
    report = nights.report(WORDS)

    assert {finding.state for finding in errors_of(report)} == {"ongoing"}
    assert report.resolved == ()


def test_an_accepted_part_accepts_no_other():
    """The gate asks for every part of what a rule puts together over tools."""
    accepted = baseline_of(report_of(window_with({"find_order": GONE})), reason="known")
    report = report_of(window_with(WORDS), settings=OURS)

    assert judge(report, "low", accepted).failing == report.findings


def test_every_rendering_names_the_tools():
    """A reader sees what the name stands for."""
    report = report_of(window_with(WORDS), settings=OURS)

    for rendered in (render_markdown(report), render_text(report)):
        assert all(tool in rendered for tool in TOOLS)


def test_a_finding_about_agents_names_them():
    """Where there is no tool to name, the row bears the agent."""

    def cut_short(number, agent):
        return TraceScript(number, agent=agent).model("a long", finish="length").answer("a long")

    scripts = [cut_short(n, "support" if n % 2 else "billing") for n in range(1, 17)]
    settings = merging(({"rule": "truncated_output"}, "cut answers"))

    report = report_of(scripts, settings=settings)

    (finding,) = (f for f in report.findings if f.fingerprint.parts[0] == "truncated_output")
    assert {row.agent for row in finding.by_subject} == {"support", "billing"}
