"""
Precision and recall on injected failures: ``python -m bench.faults [--rate 0.05]``.

Every failure is put into 400 runs by itself, at an exact rate: first into runs of
the sample agents, encoded and decoded as an exporter and the receiver would, then
into a plain agent written for it, then into the same one where only the client of the
model is instrumented. A finding is right when one of the failure's
rules makes it, and precise when every trace it names was hit. At the end clean
windows of 1,000 runs each must give nothing above low.
"""

import argparse
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from bench.faults.agents import FAULTS, clean_runs, window_of
from bench.faults.catalogue import MODES, OF_TOOL_SPANS, runs
from halo_daemon.analyzer.run import RunInfo, analyze_window
from halo_daemon.analyzer.stats import wilson
from halo_daemon.demo.agents import AGENTS
from halo_daemon.findings import Finding, Report
from halo_daemon.proto.span import Span
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.memory_reader import MemoryReader
from halo_daemon.testing.message_only import told_in_messages
from halo_daemon.testing.traces import TraceScript

_RUN = RunInfo("r_faults", "run_faults", 1_790_000_000_000_000_000)
_LOUD = frozenset({"critical", "high", "medium"})
_CLEAN_RUNS = 1_000


class Scored(NamedTuple):
    """What became of one failure."""

    name: str
    recall: float
    precision: float
    rank: int
    """Place of the first right finding, from 1; 0 when there is none."""
    rate: float
    """Affected over eligible of that finding, and of others of its rule: one for each model."""
    truth: float
    """Runs that were hit, over the same eligible ones."""
    is_inside: bool
    """Whether the truth lies in the interval of that rate."""
    also: tuple[str, ...]
    """Rules of other findings above low that name hit runs only: the same failure, seen twice."""
    wrong: tuple[str, ...]
    """Rules of other findings above low that name a run without any failure."""
    findings: int
    """Right findings."""
    wanted: int = 0
    """How many there should be; 0 where that is not asked."""


def analyse(spans: Iterable[Span]) -> Report:
    """The report of those spans."""
    reader = MemoryReader()
    for span in spans:
        reader.add(span, received_unix_ns=1)
    return analyze_window(reader, project="faults", window=Window(0, 2**62), run=_RUN)


def score(name: str, report: Report, hit: Collection[str], rules: Collection[str]) -> Scored:
    """Hold *report* against the runs that were *hit* with what *rules* should find."""
    hit = set(hit)
    named: dict[str, set[str]] = {}
    for row in report.traces:
        for identity in row.findings:
            named.setdefault(identity, set()).add(row.trace_id)
    right = [f for f in report.findings if rule_of(f) in rules]
    others = [f for f in report.findings if rule_of(f) not in rules and f.severity in _LOUD]
    found = {trace_id for f in right for trace_id in named.get(f.finding_id, ())}
    first = right[0] if right else None
    alike = [f.counts for f in right if first and rule_of(f) == rule_of(first)]
    affected = sum(counts.affected_traces for counts in alike)
    eligible = sum(counts.eligible_traces for counts in alike)
    low, high = alike[0].ci95 if len(alike) == 1 else wilson(affected, eligible)
    truth = len(hit) / eligible if eligible else 1.0
    false = {f.finding_id for f in others if not named.get(f.finding_id, set()) <= hit}
    return Scored(
        name,
        recall=len(found & hit) / len(hit),
        precision=len(found & hit) / len(found) if found else 0.0,
        rank=report.findings.index(first) + 1 if first else 0,
        rate=affected / eligible if eligible else 0.0,
        truth=truth,
        is_inside=bool(right) and low <= truth <= high,
        also=tuple(sorted(rule_of(f) for f in others if f.finding_id not in false)),
        wrong=tuple(sorted(rule_of(f) for f in others if f.finding_id in false)),
        findings=len(right),
    )


def rule_of(finding: Finding) -> str:
    """Name of the rule that made a finding."""
    return finding.source.removeprefix("rule:").partition("@")[0]


def in_agents(*, number: int, rate: float, seed: int) -> Iterator[Scored]:
    """Every failure of the sample agents."""
    for fault in FAULTS:
        window = window_of(fault, number=number, rate=rate, seed=seed)
        yield score(fault.name, analyse(window.spans), window.hit, fault.rules)


def in_plain_runs(
    *, number: int, rate: float, seed: int, in_messages: bool = False
) -> Iterator[Scored]:
    """Every failure of the plain agent; with *in_messages* where no span stands for a tool."""
    for mode in MODES:
        if in_messages and mode.name in OF_TOOL_SPANS:
            continue
        plan = runs(number, rates={mode.name: rate}, seed=seed)
        hit = {script.trace_id for name, script in plan if name == mode.name}
        report = analyse(spans_of([script for _, script in plan], in_messages=in_messages))
        yield score(mode.name, report, hit, mode.rules)._replace(wanted=mode.findings)


def spans_of(scripts: Sequence[TraceScript], *, in_messages: bool = False) -> Iterator[Span]:
    """All spans of those runs; with *in_messages* tools are told of in prompts only."""
    for script in scripts:
        spans = script.spans()
        yield from told_in_messages(spans, task=script.task) if in_messages else spans


def loud_in_clean_windows(seed: int) -> Iterator[tuple[str, list[Finding]]]:
    """Findings above low in runs without any failure, agent by agent."""
    for agent in AGENTS:
        yield agent.name, _loud(analyse(clean_runs(agent, number=_CLEAN_RUNS, seed=seed)))
    plain = [script for _, script in runs(_CLEAN_RUNS, rates={}, seed=seed)]
    yield "plain agent", _loud(analyse(spans_of(plain)))
    told = analyse(spans_of(plain, in_messages=True))
    yield "plain agent without spans of tools", _loud(told)


def _loud(report: Report) -> list[Finding]:
    return [finding for finding in report.findings if finding.severity in _LOUD]


def _print(title: str, scores: Iterable[Scored]) -> None:
    print(title)
    print(
        f"{'failure':<34}{'recall':>8}{'prec.':>8}{'rank':>6}{'rate':>8}{'error':>8}"
        "  in interval  also found; WRONG"
    )
    rows = []
    for row in scores:
        rows.append(row)
        wrong = f"; WRONG {', '.join(row.wrong)}" if row.wrong else ""
        if row.wanted and row.findings != row.wanted:
            wrong += f"; {row.findings} FINDINGS, NOT {row.wanted}"
        print(
            f"{row.name:<34}{row.recall:>8.3f}{row.precision:>8.3f}{row.rank:>6}{row.rate:>8.3f}"
            f"{row.rate - row.truth:>+8.3f}  {'yes' if row.is_inside else 'NO':<11}"
            f"  {', '.join(row.also) or '–'}{wrong}",
            flush=True,
        )
    number = len(rows)
    print(
        f"mean recall {sum(row.recall for row in rows) / number:.3f},"
        f" precision {sum(row.precision for row in rows) / number:.3f},"
        f" rates inside their intervals {sum(row.is_inside for row in rows) / number:.3f},"
        f" wrong findings {sum(len(row.wrong) for row in rows)}\n"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chosen = {"number": options.runs, "rate": options.rate, "seed": options.seed}
    _print("in runs of the sample agents", in_agents(**chosen))
    _print("in runs of a plain agent", in_plain_runs(**chosen))
    _print("in runs of it without spans of tools", in_plain_runs(**chosen, in_messages=True))
    for name, loud in loud_in_clean_windows(options.seed):
        rules = ", ".join(sorted(rule_of(finding) for finding in loud))
        print(f"clean window of {_CLEAN_RUNS} runs, {name}: {len(loud)} findings above low {rules}")


if __name__ == "__main__":
    main()
