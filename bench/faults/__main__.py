"""
Precision and recall on injected failures: ``python -m bench.faults [--rate 0.05]``.

Every mode is put into 400 runs by itself; a finding is right when one of the
mode's rules makes it and every trace it names was hit. Then a clean window of
1,000 runs must give nothing above low.
"""

import argparse
from collections.abc import Sequence
from typing import NamedTuple

from bench.faults.catalogue import MODES, Mode, runs
from halo_daemon.analyzer.run import RunInfo, analyze_window
from halo_daemon.findings import Finding, Report
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.memory_reader import MemoryReader
from halo_daemon.testing.traces import TraceScript

_RUN = RunInfo("r_faults", "run_faults", 1_790_000_000_000_000_000)
_LOUD = frozenset({"critical", "high", "medium"})


class Scored(NamedTuple):
    """What became of one mode."""

    mode: str
    recall: float
    precision: float
    rank: int
    """Place of the first right finding, from 1; 0 when there is none."""
    rate: float
    """Affected over eligible of that finding."""
    hit_in_interval: bool
    wrong: tuple[str, ...]


def analyse(scripts: Sequence[TraceScript]) -> Report:
    """The report of those runs."""
    reader = MemoryReader()
    for script in scripts:
        for span in script.spans():
            reader.add(span, received_unix_ns=1)
    return analyze_window(reader, project="faults", window=Window(0, 2**62), run=_RUN)


def score(mode: Mode, *, number: int, rate: float, seed: int) -> Scored:
    """Put *mode* into runs at *rate*, analyse them, and hold the findings against the truth."""
    plan = runs(number, rates={mode.name: rate}, seed=seed)
    report = analyse([script for _, script in plan])
    hit = {script.trace_id for name, script in plan if name == mode.name}
    rows = {row.trace_id: set(row.findings) for row in report.traces}
    right = [f for f in report.findings if _rule(f) in mode.rules]
    wrong = [f for f in report.findings if _rule(f) not in mode.rules and f.severity in _LOUD]
    named = {t for t, found in rows.items() if found & {f.finding_id for f in right}}
    first = right[0] if right else None
    low, high = first.counts.ci95 if first else (0.0, 0.0)
    truth = len(hit) / first.counts.eligible_traces if first else 1.0
    return Scored(
        mode.name,
        recall=len(named & hit) / len(hit),
        precision=len(named & hit) / len(named) if named else 0.0,
        rank=report.findings.index(first) + 1 if first else 0,
        rate=first.counts.rate if first else 0.0,
        hit_in_interval=low <= truth <= high,
        wrong=tuple(sorted(_rule(f) for f in wrong)),
    )


def _rule(finding: Finding) -> str:
    return finding.source.removeprefix("rule:").partition("@")[0]


def clean_window(number: int, seed: int) -> list[Finding]:
    """Findings above low in runs without any failure."""
    report = analyse([script for _, script in runs(number, rates={}, seed=seed)])
    return [finding for finding in report.findings if finding.severity in _LOUD]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"{'mode':<24}{'recall':>8}{'prec.':>8}{'rank':>6}{'rate':>8}  in interval  also found")
    scores = [
        score(mode, number=options.runs, rate=options.rate, seed=options.seed) for mode in MODES
    ]
    for row in scores:
        print(
            f"{row.mode:<24}{row.recall:>8.3f}{row.precision:>8.3f}{row.rank:>6}{row.rate:>8.3f}"
            f"  {'yes' if row.hit_in_interval else 'NO':<11}  {', '.join(row.wrong) or '–'}"
        )
    number = len(scores)
    print(
        f"mean recall {sum(r.recall for r in scores) / number:.3f}, "
        f"precision {sum(r.precision for r in scores) / number:.3f}, "
        f"rates inside their intervals {sum(r.hit_in_interval for r in scores) / number:.3f}"
    )
    loud = clean_window(1_000, options.seed)
    print(f"clean window of 1,000 runs: {len(loud)} findings above low")


if __name__ == "__main__":
    main()
