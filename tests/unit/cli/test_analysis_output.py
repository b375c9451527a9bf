from halo_daemon.analyzer.agent.explain import DryRun
from halo_daemon.cli.analysis_output import only_finding, render_plans
from halo_daemon.cli.dry_runs import dry_run_lines
from tests.unit.analyzer.analysis import report_of
from tests.unit.analyzer.test_run import window


def test_a_report_of_one_finding_counts_its_quotes_alone():
    """Of another finding it shows none, and so no quote that was looked up."""
    report = report_of(window())
    (finding,) = report.findings

    shown = only_finding(report, finding.finding_id)
    other = only_finding(report, "F-000000000000")

    quotes = len(finding.evidence)
    assert quotes
    assert (shown.findings, shown.coverage.evidence_verified) == ((finding,), (quotes, quotes))
    assert (other.findings, other.coverage.evidence_verified) == ((), (0, 0))


def test_a_plan_names_attributes_of_lists_once():
    """What differs in the place in a list alone is one line's worth; what people named is seen."""
    keys = (
        "crm.case.2026",
        "llm.input_messages.0.message.content",
        "llm.input_messages.10.message.content",
        "llm.input_messages.2.message.tool_calls.0.tool_call.id",
        "v1.2nd",
    )
    plan = DryRun("m", 1, 2, keys, 3, 4, None, None, "")

    shown = render_plans([("shop", plan)]).decode()

    assert shown.splitlines()[-1].split(maxsplit=1)[1].split(", ") == [
        "crm.case.N",
        "llm.input_messages.N.message.content",
        "llm.input_messages.N.message.tool_calls.N.tool_call.id",
        "v1.2nd",
    ]


def test_a_plan_says_what_limits_it():
    """Large limits are written out, and the absence of one is said."""
    plan = DryRun("m", 1, 2, (), 3, 4, 2_000_000, None, "price unknown")

    (line,) = [line for line in dry_run_lines(plan) if line.startswith("budget")]

    assert line.split(maxsplit=1)[1] == "at most 2,000,000 tokens, no limit of dollars"
