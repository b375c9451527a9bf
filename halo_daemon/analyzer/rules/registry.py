"""Every rule, in one place; the order here has no influence on a report."""

from halo_daemon.analyzer.rules.ending import check_budget, check_premature_end
from halo_daemon.analyzer.rules.errors import (
    check_infra_errors,
    check_span_errors,
    check_tool_errors,
)
from halo_daemon.analyzer.rules.model_output import check_filtered, check_truncated
from halo_daemon.analyzer.rules.repetition import check_blind_retries, check_repeated_calls
from halo_daemon.analyzer.rules.rule import Rule
from halo_daemon.analyzer.rules.tool_choice import check_arguments, check_made_up_tools

RULES: tuple[Rule, ...] = (
    Rule("bad_arguments", 1, "tool calls", check_arguments),
    Rule("blind_retry", 1, "failing tools", check_blind_retries),
    Rule("budget_exhausted", 1, "traces", check_budget),
    Rule("filtered_output", 1, "model calls", check_filtered),
    Rule("infra_error", 1, "tools and span names", check_infra_errors),
    Rule("made_up_tool", 1, "model calls", check_made_up_tools),
    Rule("premature_end", 1, "traces", check_premature_end),
    Rule("repeated_call", 1, "tools called twice", check_repeated_calls),
    Rule("span_error", 1, "span names", check_span_errors),
    Rule("tool_error", 1, "tools", check_tool_errors),
    Rule("truncated_output", 1, "model calls", check_truncated),
)

RULE_IDS: dict[str, str] = {rule.name: rule.id for rule in RULES}
"""Name and version of every rule by its name."""
