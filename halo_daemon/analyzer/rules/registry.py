"""Every rule, in one place; the order here has no influence on a report."""

from halo_daemon.analyzer.rules.answers import check_claims, check_grounding, check_refusals
from halo_daemon.analyzer.rules.context import check_context_growth
from halo_daemon.analyzer.rules.degenerate import DEGENERATE_OUTPUT, check_degenerate
from halo_daemon.analyzer.rules.echoes import check_echoes
from halo_daemon.analyzer.rules.ending import check_budget, check_premature_end
from halo_daemon.analyzer.rules.errors import (
    check_infra_errors,
    check_span_errors,
    check_tool_errors,
    check_unrecovered,
)
from halo_daemon.analyzer.rules.feedback import check_feedback
from halo_daemon.analyzer.rules.injection import check_injection
from halo_daemon.analyzer.rules.loops import check_cycles, check_near_repeats
from halo_daemon.analyzer.rules.model_output import check_filtered, check_truncated
from halo_daemon.analyzer.rules.model_use import (
    check_model_swap,
    check_output_decay,
)
from halo_daemon.analyzer.rules.output_format import OUTPUT_FORMAT, check_output_format
from halo_daemon.analyzer.rules.plans import check_skipped_plans
from halo_daemon.analyzer.rules.progress import check_no_progress
from halo_daemon.analyzer.rules.prompt_leak import PROMPT_LEAK, check_prompt_leaks
from halo_daemon.analyzer.rules.repetition import check_blind_retries, check_repeated_calls
from halo_daemon.analyzer.rules.results import CONTRACT_DRIFT, check_results
from halo_daemon.analyzer.rules.retrieval import check_empty_results
from halo_daemon.analyzer.rules.rule import Rule
from halo_daemon.analyzer.rules.security import check_secrets
from halo_daemon.analyzer.rules.side_effects import (
    check_double_side_effects,
    check_failed_values,
    check_off_limits,
    check_preconditions,
)
from halo_daemon.analyzer.rules.stuck_lookups import STUCK_LOOKUP, check_stuck_lookups
from halo_daemon.analyzer.rules.tool_choice import check_arguments, check_made_up_tools
from halo_daemon.analyzer.rules.ungrounded_arguments import (
    UNGROUNDED_ARGUMENT,
    check_ungrounded_arguments,
)
from halo_daemon.analyzer.rules.written_calls import WRITTEN_CALL, check_written_calls

RULES: tuple[Rule, ...] = (
    Rule("bad_arguments", 2, "tool calls", check_arguments),
    Rule("blind_retry", 2, "failing tools", check_blind_retries),
    Rule("budget_exhausted", 1, "traces", check_budget),
    Rule("claimed_not_done", 3, "traces", check_claims, needs_whole=True),
    Rule("context_growth", 2, "traces", check_context_growth),
    Rule(CONTRACT_DRIFT, 1, "lists of tools and stated results", check_results),
    Rule("cycle", 2, "traces", check_cycles),
    Rule(DEGENERATE_OUTPUT, 1, "model calls", check_degenerate),
    Rule("double_side_effect", 1, "writing calls", check_double_side_effects),
    Rule("echoed_result", 1, "code runs", check_echoes),
    Rule("empty_result", 3, "look-ups", check_empty_results),
    Rule("failed_value_used", 2, "traces", check_failed_values, needs_whole=True),
    Rule("filtered_output", 1, "model calls", check_filtered),
    Rule("infra_error", 5, "tools and span names", check_infra_errors),
    Rule("injection_text", 3, "spans", check_injection),
    Rule("made_up_tool", 1, "model calls", check_made_up_tools),
    Rule("model_swap", 1, "model calls", check_model_swap),
    Rule("near_repeat", 2, "tools called four times", check_near_repeats),
    Rule("negative_feedback", 3, "sessions", check_feedback),
    Rule("no_progress", 1, "traces", check_no_progress),
    Rule("off_limits_source", 1, "traces", check_off_limits),
    Rule("output_decay", 1, "traces", check_output_decay),
    Rule(OUTPUT_FORMAT, 1, "model calls", check_output_format),
    Rule("precondition", 1, "calls with a requirement", check_preconditions, needs_whole=True),
    Rule("premature_end", 2, "traces", check_premature_end),
    Rule(PROMPT_LEAK, 1, "traces", check_prompt_leaks),
    Rule("refusal", 2, "traces", check_refusals),
    Rule("repeated_call", 2, "tools called twice", check_repeated_calls),
    Rule("secret_in_span", 2, "steps", check_secrets),
    Rule("skipped_plan", 1, "plans", check_skipped_plans, needs_whole=True),
    Rule("span_error", 1, "span names", check_span_errors),
    Rule(STUCK_LOOKUP, 1, "tools called three times", check_stuck_lookups),
    Rule("tool_error", 3, "tools", check_tool_errors),
    Rule("truncated_output", 3, "model calls", check_truncated),
    Rule("ungrounded_answer", 2, "traces", check_grounding, needs_whole=True),
    Rule(UNGROUNDED_ARGUMENT, 1, "calls with an id", check_ungrounded_arguments, needs_whole=True),
    Rule("unrecovered_error", 2, "leaf errors", check_unrecovered),
    Rule(WRITTEN_CALL, 1, "model calls", check_written_calls),
)

RULE_IDS: dict[str, str] = {rule.name: rule.id for rule in RULES}
"""Name and version of every rule by its name."""
