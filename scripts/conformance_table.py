"""
A table of conformance rows from result files of pytest.

``pytest tests/conformance --junit-xml ours.xml`` and, with ``--endpoint``, ``other.xml``;
then ``python -m scripts.conformance_table ours.xml other.xml`` prints the table.
"""

import re
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

_ROW = re.compile(r"test_c(\d+)_")


def results_of(path: Path) -> dict[int, Counter[str]]:
    """Passed, failed and skipped cases by row."""
    rows: dict[int, Counter[str]] = {}
    for case in ET.parse(path).getroot().iter("testcase"):  # noqa: S314 -- our own files
        match = _ROW.match(case.get("name", ""))
        if match is None:
            continue
        kinds = {child.tag for child in case}
        outcome = next(
            (kind for kind in ("failure", "error", "skipped") if kind in kinds), "passed"
        )
        rows.setdefault(int(match[1]), Counter())[outcome] += 1
    return rows


def cell(counts: Counter[str]) -> str:
    """What a reader wants to know of one row."""
    ran = counts["passed"] + counts["failure"] + counts["error"]
    if not ran:
        return "–"
    return "yes" if counts["passed"] == ran else f"{counts['passed']} of {ran}"


def main(paths: list[str]) -> None:
    """Print the table, one column for each file."""
    tables = [results_of(Path(path)) for path in paths]
    print("| Row | " + " | ".join(Path(path).stem for path in paths) + " |")
    print("|---" * (len(paths) + 1) + "|")
    for row in sorted(set().union(*tables)):
        print(f"| C{row} | " + " | ".join(cell(each.get(row, Counter())) for each in tables) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
