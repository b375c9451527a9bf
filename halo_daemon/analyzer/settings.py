"""
Parameters of the rules, in one table.

A change of what a parameter means raises the version of the rules that use it.
"""

from dataclasses import dataclass

from halo_daemon.analyzer.contract import NO_CONTRACT, Contract

RULES_VERSION = "1"


@dataclass(frozen=True, slots=True)
class MinerSettings:
    """What the rules and the ranking are set to; the defaults suit most projects."""

    recovery_turns: int = 2
    """LLM spans after an error within which a success of the same tool counts as recovery."""

    min_repeats: int = 3
    """Equal calls with equal results that make a loop; one fewer is a weak signal."""

    min_support_traces: int = 3
    """Affected traces below which a finding is a weak signal (1 when critical)."""

    max_findings: int = 100
    """Findings in one report; what ranks lower is counted in `limits`."""

    max_evidence: int = 6
    """Quoted spans a finding shows."""

    max_trace_spans: int = 100_000
    """Larger traces are left out and counted as oversized."""

    max_trace_parts: int = 64
    """Parts of a trace that are examined, of at most `storage.max_answer` bytes each; what
    follows is counted in `coverage.large`."""

    fdr_q: float = 0.05
    """Share of false discoveries allowed among the associations of a report."""

    high_rate: float = 0.05
    """Lower bound of the rate of unrecovered traces from which a finding is high."""

    medium_rate: float = 0.01
    """The same for medium."""

    medium_cost_share: float = 0.05
    """Share of the window's tokens wasted from which a finding is medium."""

    earlier_algorithms: tuple[str, ...] = ()
    """Versions of `fingerprint.ALGORITHM` that ids are computed with as well, so that
    findings known under those ids go on under the present ones."""

    contract: Contract = NO_CONTRACT
    """What the project states about its tools."""
