"""A coding agent: reads files, edits them and runs the tests until they pass."""

from random import Random

from halo_daemon.demo.faults import Mode
from halo_daemon.demo.script import (
    SampleAgent,
    Script,
    ToolSpec,
    ToolStep,
    Turn,
    ask,
    hex_id,
    schema,
)
from halo_daemon.proto.json_value import JsonObject

_TASKS = (
    ("Round prices half up", "shop/prices.py"),
    ("Reject empty names", "shop/forms.py"),
    ("Close the file on errors", "shop/export.py"),
    ("Sort results by date", "shop/search.py"),
)


def _test_failure(rng: Random, arguments: JsonObject) -> str:
    del arguments
    return (
        f"ContainerError: runner {hex_id(rng)} lost after {rng.randint(30, 90)} s "
        f"in /srv/runs/{rng.randint(1_000, 9_999)}"
    )


_TOOLS = (
    ToolSpec("list_files", "List a directory.", schema({"directory": "string"})),
    ToolSpec("read_file", "Read a file.", schema({"path": "string"}, {"from_line": "integer"})),
    ToolSpec(
        "edit_file",
        "Replace text in a file.",
        schema({"path": "string", "old": "string", "new": "string"}),
    ),
    ToolSpec(
        "run_tests",
        "Run the tests.",
        schema({"target": "string"}),
        parts=(("start_container", "CHAIN"), ("collect_results", "CHAIN")),
        failure=_test_failure,
    ),
    ToolSpec("check_ci", "Ask how the build is doing.", schema({"build": "string"})),
)


def _write_script(rng: Random, number: int) -> Script:
    task, path = _TASKS[number % len(_TASKS)]
    tests = path.replace("shop/", "tests/test_")
    turns = [
        ask(
            ToolStep("list_files", {"directory": "shop"}, "prices.py forms.py export.py search.py")
        ),
        ask(_read(rng, path), _read(rng, tests)),
    ]
    attempts = rng.randint(1, 3)
    for attempt in range(attempts):
        edit: JsonObject = {"path": path, "old": f"step_{attempt}", "new": f"step_{attempt + 1}"}
        turns += [
            ask(ToolStep("edit_file", edit, f"1 place changed in {path}", duration_ms=30)),
            ask(_tests(rng, tests, passed=attempt == attempts - 1)),
            # A near-miss: the same file again, but after an edit.
            ask(_read(rng, path)),
        ]
    turns += [
        *_waiting(rng),
        ask(_tests(rng, "tests", passed=True)),
        Turn(text=f"{task}: {path} is changed and all tests pass."),
    ]
    return Script(
        question=f"{task} in {path}; the tests must pass.",
        turns=tuple(turns),
        model="gpt-5-codex",
        session_id=f"branch-{number:04d}",
        user_id=f"dev-{number % 4}",
        version="1.8.2" if number % 2 else "1.8.1",
        max_output_tokens=2048,
    )


def _read(rng: Random, path: str) -> ToolStep:
    lines = "\n".join(f"{n:4d}  value_{rng.randint(0, 999)} = {n}" for n in range(1, 12))
    return ToolStep("read_file", {"path": path}, lines, duration_ms=15)


def _tests(rng: Random, target: str, *, passed: bool) -> ToolStep:
    count = rng.randint(20, 60)
    failed = 0 if passed else rng.randint(1, 3)
    result = f"{count - failed} passed, {failed} failed in {rng.randint(100, 900) / 100} s"
    return ToolStep("run_tests", {"target": target}, result, duration_ms=rng.randint(900, 2_500))


def _waiting(rng: Random) -> list[Turn]:
    """A near-miss: equal calls with equal results, of a tool that waits."""
    if rng.random() > 1 / 2:
        return []
    build = ToolStep("check_ci", {"build": hex_id(rng, 7)}, "still running", duration_ms=40)
    return [ask(build)] * 3


CODER = SampleAgent(
    name="coder",
    system_prompt="You change code in a repository and prove it with its tests.",
    provider="openai",
    traces=32,
    tools=_TOOLS,
    write_script=_write_script,
    fault_rates={
        Mode.BAD_ARGUMENTS: 7 / 32,
        Mode.NO_ANSWER: 5 / 32,
        Mode.UNRECOVERED_ERROR: 5 / 32,
    },
    fault_tools={
        Mode.BAD_ARGUMENTS: "edit_file",
        Mode.NO_ANSWER: "run_tests",
        Mode.UNRECOVERED_ERROR: "run_tests",
    },
    claim="Done: the change is in place and all tests pass.",
    made_up_tool="git_commit",
)
