"""
The agent's cases and rules, and that each of them has a test.

A case is covered when the docstring of a test, or the id of one of its
parameters, carries its id; a range such as ``H-08 to H-10`` covers what lies
between. A rule is covered when its own id is carried, or all its cases are.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

CASES = """
ST-01 arguments of a call cut anywhere        | ST-02 calls interleaved by index
ST-03 no index                                | ST-04 ids once, repeated, changed
ST-05 names repeated or split                 | ST-06 chunks without choices
ST-07 no end mark                             | ST-08 CRLF, comments, other fields
ST-09 characters cut over packets and chunks  | ST-10 reasoning
ST-11 stream asked for and not given          | ST-12 forms of content
ST-13 dropped after each number of events     | ST-14 an error inside a stream
ST-15 huge event, many tiny ones              | ST-16 events of the Responses API
ST-17 a second choice
T-01 parallel calls           | T-02 the same id twice      | T-03 no id
T-04 empty arguments          | T-05 arguments not JSON     | T-06 arguments of other types
T-07 unknown tools            | T-08 calls with a plain stop | T-09 text beside a call
T-10 calls beside the end     | T-11 a hundred calls        | T-12 tools that raise, hang, flood
T-13 broken final answers     | T-14 the old function call  | T-15 the same call again
H-01 401 | H-02 402 | H-03 403 | H-04 no Responses route | H-05 no such model | H-06 408
H-07 409 | H-08 wait in seconds | H-09 wait until a date | H-10 wait in milliseconds
H-11 quota | H-12 500 in mid-run | H-13 502 with a page | H-14 503 | H-15 529 | H-16 413
H-17 422 | H-18 should-retry | H-19 too long a wait | H-20 failures between good turns
H-21 always 500 | H-22 a page with 200 | H-23 empty body | H-24 no connection | H-25 redirect
V-01 context full by code | V-02 context full by words | V-03 temperature | V-04 token limit
V-05 parallel calls | V-06 effort | V-07 strict | V-08 stream options | V-09 named tool
V-10 store | V-11 refused again | V-12 content filter | V-13 unexplained 400 | V-14 no tools
V-15 forms of error bodies
F-01 good ends | F-02 cut at the output limit | F-03 filtered | F-04 no reason, odd reason
F-05 refused | F-06 nothing said | F-07 refused in words | F-08 incomplete | F-09 failed
U-01 no usage | U-02 kinds of tokens | U-03 more than estimated | U-04 price unknown
U-05 nonsense as usage
B-01 failures between turns | B-02 turn limit | B-03 too little left | B-04 one budget for all
B-05 the last turn is forced | B-06 words for ever | B-07 dead from the start
B-08 a child at its limit | B-09 no life in a stream | B-10 too deep | B-11 too many children
C-01 shrunk before it is full | C-02 refused four times | C-03 pairs | C-04 summaries that fail
C-05 read again in parts | C-06 prefix and note | C-07 window learnt
K-01 told to stop | K-02 deadline | K-03 reader gone | K-04 second signal
S-01 trace text as data | S-02 the injection set | S-03 code that breaks out
S-04 files and refs that break out | S-05 claims | S-06 output that is mark-up | S-07 secrets
S-08 a child's words
J-01 killed at each step | J-02 money carried over | J-03 torn line, full disk
J-04 another run's journal | J-05 replay
P-01 layouts | P-02 orders | P-03 answers within a budget | P-04 valid reports | P-05 events
P-06 ledger | P-07 waits
"""

RULES = {
    "R1": "B-01 B-02", "R2": "H-20", "R3": "T-07", "R4": "T-04 T-05 T-06", "R5": "T-12",
    "R6": "P-03", "R7": "C-01", "R8": "C-02", "R9": "C-03", "R10": "B-05", "R11": "B-06",
    "R12": "J-01", "R13": "B-03 B-04", "R14": "C-06", "R15": "S-01", "R16": "S-05",
    "R17": "B-07", "R18": "",
    "L1": "C-01", "L2": "C-02", "L3": "J-01", "L4": "B-01 B-02", "L5": "H-20", "L6": "H-04",
    "L7": "T-07", "L8": "B-06", "L9": "B-03 B-04", "L10": "H-08 H-21",
    "L11": "H-02 H-05 H-06 H-07 V-13", "L12": "B-08", "L13": "P-03 C-05", "L14": "F-05 F-06 F-07",
    "L15": "S-01 S-03 S-04", "L16": "S-05", "L17": "", "L18": "T-04 T-05 T-06 T-07 H-12",
    "X1": "", "X2": "", "X3": "", "X4": "", "X5": "", "X6": "",
    "G1": "", "G2": "", "G3": "", "G4": "", "G5": "",
}  # fmt: skip
"""A rule, and the cases that hold it; those without need a test that names them."""

_ID = re.compile(r"\b(ST|[A-Z])-(\d\d)\b(?:\s+to\s+(?:ST|[A-Z])-(\d\d)\b)?")
_RULE = re.compile(r"\b[RLXG]\d{1,2}\b")


def _texts() -> Iterator[str]:
    """Docstrings of tests and texts in their decorators."""
    for path in ROOT.rglob("test_*.py"):
        if path.name == Path(__file__).name:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            if node.name.startswith("test_"):
                yield ast.get_docstring(node) or ""
                for decorator in node.decorator_list:
                    yield from _strings(decorator)


def _strings(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if (
            isinstance(part, ast.keyword)
            and part.arg == "id"
            and isinstance(part.value, ast.Constant)
        ):
            yield str(part.value.value)


def _carried() -> set[str]:
    found: set[str] = set()
    for text in _texts():
        found.update(_RULE.findall(text))
        # `ST-04-05-name` stands for two cases of one letter.
        for letter, first, last in _ID.findall(re.sub(r"\b([A-Z]+-\d\d)-(?=\d\d\b)", r"\1 ", text)):
            found.update(f"{letter}-{n:02}" for n in range(int(first), int(last or first) + 1))
    return found


CARRIED = _carried()
CASE_IDS = [match[0] for match in re.finditer(r"\b(?:ST|[A-Z])-\d\d\b", CASES)]


@pytest.mark.parametrize("case", CASE_IDS)
def test_each_case_has_a_test(case):
    """Some test says that it is about this case."""
    assert case in CARRIED


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_has_a_test(rule):
    """Some test names the rule, or its cases have tests."""
    cases = RULES[rule].split()
    assert rule in CARRIED or (cases and {*cases} <= CARRIED)
