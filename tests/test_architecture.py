"""Invariants that a linter cannot see."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import halo_daemon
from halo_daemon import errors

PACKAGE = Path(halo_daemon.__file__).parent
MAX_FILE_LINES = 450
MAX_FUNCTION_LINES = 70


def _modules():
    return sorted(PACKAGE.rglob("*.py"))


def _drawn_tree(docstring):
    """Parent by class name, from the indented list in the module's docstring."""
    parents: dict[str, str] = {}
    stack: list[tuple[int, str]] = []
    for line in docstring.splitlines():
        match = re.match(r"( *)[*+-] (\w+)", line)
        if match is None:
            continue
        indent, name = len(match[1]), match[2]
        while stack and stack[-1][0] >= indent:
            stack.pop()
        parents[name] = stack[-1][1] if stack else "Exception"
        stack.append((indent, name))
    return parents


def test_the_drawn_error_tree_is_the_real_one():
    """The tree at the top of errors.py names every class under its real parent."""
    real = {
        name: cls.__base__.__name__
        for name, cls in vars(errors).items()
        if isinstance(cls, type) and issubclass(cls, errors.HaloError)
    }

    assert _drawn_tree(errors.__doc__) == real


def test_every_error_carries_a_hint():
    """An error without a remedy has an empty hint, never none."""
    assert errors.HaloError("x").hint == ""
    assert errors.OverloadError("x", hint="wait").hint == "wait"


def _body_lines(function):
    """Lines of a function below its signature and its docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return function.end_lineno - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_and_functions_stay_readable(path):
    """No file and no function outgrows what fits a reader's head."""
    source = path.read_text(encoding="utf-8")
    functions = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    too_long = [
        f"{node.name} ({_body_lines(node)} lines)"
        for node in functions
        if _body_lines(node) > MAX_FUNCTION_LINES
    ]

    assert len(source.splitlines()) <= MAX_FILE_LINES
    assert too_long == []


@pytest.mark.parametrize(
    "argument", ["--help", "--version"], ids=lambda argument: argument.strip("-")
)
def test_help_imports_nothing_heavy(argument):
    """Help and version start without servers, protobuf, logging or HTTP clients."""
    heavy = {
        "grpc",
        "openai",
        "structlog",
        "httpx2",
        "pydantic",
        "uvicorn",
        "apscheduler",
        "google",
    }

    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "halo_daemon", argument],
        capture_output=True,
        text=True,
        check=True,
    )

    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in run.stderr.splitlines()}
    assert imported & heavy == set()


def test_importing_the_package_does_nothing():
    """Importing the package itself pulls in nothing of ours and prints nothing."""
    code = (
        "import sys, halo_daemon; print([m for m in sys.modules if m.startswith('halo_daemon.')])"
    )

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "[]"
    assert run.stderr == ""
