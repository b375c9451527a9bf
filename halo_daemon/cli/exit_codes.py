"""What exit statuses mean, one table for the whole command line; and which one a run earns."""

DONE = 0
FAILED = 1
USAGE = 2
FINDINGS = 3
BUDGET = 4
UNREACHABLE = 5
INTERRUPTED = 130

BUDGET_REASONS = frozenset({"turns", "tokens", "usd", "seconds", "requests"})
"""Reasons of a partial run that are limits the user set."""
