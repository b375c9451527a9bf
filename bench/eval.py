"""
Figures on the evaluation data: ``python -m bench.eval [SET ...]``.

Each set is decoded by the real decoder, analysed, and handed to the scorer that
comes with the data; both are read where HALO_SHARED points and nothing of them
is kept here. Without the data this says so and does nothing.
"""

import argparse
import gzip
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.eval_rules import rule_rows
from halo_daemon.analyzer.assemble import assemble
from halo_daemon.analyzer.miner import mine
from halo_daemon.analyzer.outcome import Outcome
from halo_daemon.analyzer.run import RunInfo, analyze_window, state_outcomes
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.findings import to_json
from halo_daemon.proto.batch import DecodeLimits
from halo_daemon.proto.otlp_json import decode_json
from halo_daemon.proto.project import Project
from halo_daemon.proto.span import Span
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.memory_reader import MemoryReader

WINDOW = Window(0, 2**62)
RUN = RunInfo("r_eval", "run_eval", 1_790_000_000_000_000_000)
SHUFFLES = 20
SHOWN = (
    "AUROC",
    "AUROC 95% CI",
    "AUROC within thirds by span count",
    "within-task AUC",
    "within-task AUC 95% CI",
    "blamed spans per trace",
    "span precision",
    "span recall",
    "span F1",
    "decision-role precision",
    "decisive span hit, of given",
    "joint (span, category) F1",
    "category macro-F1",
    "exact",
    "within 1",
    "within 3",
    "agent",
    "top span given",
)


def shared() -> Path:
    """Where the evaluation data lies."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    return Path(os.environ.get("HALO_SHARED", beside))


def spans_of(path: Path) -> Iterator[Span]:
    """Every span of one set, decoded as a receiver would."""
    with gzip.open(path, "rb") as lines:
        for line in lines:
            request = decode_json(
                line, project_of=lambda _: Project("eval", "eval"), limits=DecodeLimits()
            )
            for batch in request.batches:
                yield from (Span.from_line(row) for row in batch.lines.split(b"\n") if row)


def reader_of(path: Path) -> MemoryReader:
    """A reader of one set."""
    reader = MemoryReader()
    for span in spans_of(path):
        reader.add(span, received_unix_ns=1)
    return reader


def score(data: Path, name: str, document: bytes) -> dict[str, object]:
    """What the scorer says of a report."""
    with tempfile.TemporaryDirectory() as directory:
        report, result = Path(directory) / "report.json", Path(directory) / "scores.json"
        report.write_bytes(document)
        labels = data / "data" / "labels" / f"{name}.jsonl"
        command = [
            sys.executable,
            "score_findings.py",
            str(report),
            str(labels),
            "--json",
            str(result),
        ]
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run(
            command, cwd=data / "score", env=environment, check=True, stdout=subprocess.DEVNULL
        )
        scores: dict[str, object] = json.loads(result.read_text())
        return scores


def shown(scores: object, indent: int = 2) -> Iterator[str]:
    """The figures worth a line, with the headings they stand under."""
    for key, value in scores.items() if isinstance(scores, dict) else ():
        if isinstance(value, dict):
            below = list(shown(value, indent + 2))
            if below:
                yield " " * indent + str(key)
                yield from below
        elif key in SHOWN:
            yield f"{' ' * indent}{key:<40}{_figure(value)}"


def _figure(value: object) -> str:
    if isinstance(value, list):
        return "–".join(_figure(part) for part in value)
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def false_contrasts(data: Path, name: str, reader: MemoryReader) -> float | None:
    """Mean discoveries a report over shuffled outcomes; None where outcomes are not known."""
    rows = (data / "data" / "labels" / f"{name}.jsonl").read_text().splitlines()
    labels = {row["trace_id"]: row.get("failed") for row in map(json.loads, rows)}
    if len(set(labels.values())) < 2 or None in labels.values():
        return None
    known = mine(reader.iter_traces(WINDOW), MinerSettings())
    found = []
    for seed in range(1, SHUFFLES + 1):
        verdicts = list(labels.values())
        random.Random(seed).shuffle(verdicts)
        outcomes = [Outcome("failed" if failed else "ok", "label") for failed in verdicts]
        state_outcomes(known, dict(zip(labels, outcomes, strict=True)))
        found.append(assemble(known, MinerSettings()).discoveries)
    return statistics.mean(found)


def main() -> None:
    """Print the figures of every set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*")
    options = parser.parse_args()
    data = shared()
    if not (data / "data" / "traces").is_dir():
        print("evaluation data not present; set HALO_SHARED")
        return
    for path in sorted((data / "data" / "traces").glob("*.otlp.jsonl.gz")):
        name = path.name.removesuffix(".otlp.jsonl.gz")
        if options.sets and name not in options.sets:
            continue
        reader = reader_of(path)
        report = analyze_window(reader, project=name, window=WINDOW, run=RUN)
        print(f"{name}: {report.summary.headline}")
        for line in shown(score(data, name, to_json(report))):
            print(line)
        for line in rule_rows(report, data / "data" / "labels" / f"{name}.jsonl"):
            print(line)
        mean = false_contrasts(data, name, reader)
        if mean is not None:
            print(f"  contrasts under shuffled outcomes, mean of {SHUFFLES}: {mean:.3f}")


if __name__ == "__main__":
    main()
