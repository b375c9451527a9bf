import ast
import re
from pathlib import Path

ROWS = range(1, 81)


def test_every_row_has_a_test_with_its_number():
    """No row of the list is without a test in this directory."""
    named = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                named.update(re.findall(r"^test_c(\d+)_", node.name))

    assert {int(number) for number in named} == set(ROWS)
