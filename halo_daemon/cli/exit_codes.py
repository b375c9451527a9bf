"""What exit statuses mean, one table for the whole command line; and which one a run earns."""

from typing import Final

DONE = 0
FAILED = 1
USAGE = 2
FINDINGS = 3
BUDGET = 4
UNREACHABLE = 5
INTERRUPTED = 130

BUDGET_REASONS = frozenset({"turns", "tokens", "usd", "seconds", "requests"})
"""Reasons of a partial run that are limits the user set."""

MEANINGS: Final = {
    DONE: "done; also where there was nothing to do",
    FAILED: "failed",
    USAGE: "usage or configuration is wrong; nothing was started",
    FINDINGS: "findings at or above `--fail-on`, or the one asked for",
    BUDGET: "a budget was reached; what there was until then was written",
    UNREACHABLE: "the daemon is not reachable",
    INTERRUPTED: "interrupted",
}

FURTHER: Final[dict[str, tuple[int, ...]]] = {
    "analyze": (FINDINGS, BUDGET),
    "ask": (BUDGET,),
    "canary": (UNREACHABLE,),
    "run replay": (BUDGET,),
    "run retry": (BUDGET,),
    "schedule run": (UNREACHABLE,),
    "send": (UNREACHABLE,),
    "status": (UNREACHABLE,),
}
"""Statuses of commands beside 0, 1, 2 and 130, which every command may end with."""
