"""Words for a run that was stopped by its limit on steps, as frameworks say it."""

import re

BUDGET_TEXT = (
    r"(?:max(?:imum)?|reached|exceeded|over|hit) (?:the )?(?:number of )?(?:allowed )?"
    r"(?:steps?|iterations?|turns?|rounds?|tool calls?|recursion)\b"
    r"|(?:step|iteration|turn|recursion|loop) limit\b|max_(?:steps|turns|iterations|rounds)\b"
    r"|stopped due to (?:iteration|time) limit|MaxTurnsExceeded|GraphRecursionError"
    r"|MaxStepsError|LimitsExceeded|UsageLimitExceeded|LlmCallsLimitExceeded"
    r"|need more steps to process this request|max(?:imum)? number of llm calls"
)
"""A run that was stopped by a limit on steps or turns."""

LIMIT = re.compile(BUDGET_TEXT, re.IGNORECASE)
