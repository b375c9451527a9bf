"""What the documents name exists: files, commands and flags."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]


def _blocks(text):
    return re.findall(r"```console\n(.*?)```", text, re.DOTALL)


def _commands():
    """Every `halo-daemon …` line of a console block, with the document that holds it."""
    for path in DOCUMENTS:
        for block in _blocks(path.read_text(encoding="utf-8")):
            for line in block.splitlines():
                if match := re.match(r"\$ (?:\S*/)?halo-daemon ([^#&|]*)", line):
                    yield pytest.param(match[1].split(), id=f"{path.name}: {match[1].strip()}")


@cache
def _help(*verbs):
    run = subprocess.run(
        [sys.executable, "-m", "halo_daemon", *verbs, "--help"],
        capture_output=True,
        text=True,
        check=False,
        env={"COLUMNS": "200", "PATH": "/usr/bin:/bin"},
    )
    return run.stdout if run.returncode == 0 else None


@pytest.mark.parametrize("words", list(_commands()))
def test_a_documented_command_exists_with_its_flags(words):
    """A verb and the flags that a document shows are those of the command line."""
    verbs = [words[0]]
    for word in words[1:3]:
        if word.startswith("-") or not _help(*verbs, word):
            break
        verbs.append(word)

    text = _help(*verbs)

    assert text is not None, f"no such command: {' '.join(verbs)}"
    for word in words:
        if word.startswith("-"):
            assert re.search(rf"(?<![\w-]){re.escape(word.split('=')[0])}(?![\w-])", text)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(path):
    """Every relative link of a document names a file that is there."""
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))

    missing = [
        target for target in targets if "://" not in target and not (path.parent / target).exists()
    ]

    assert missing == []


@pytest.mark.parametrize("target", ["demo", "test", "check", "fix", "help"])
def test_documented_make_targets_exist(target):
    """The make targets that the documents name are in the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_decisions_are_numbered_in_a_row():
    """Each has a number of its own, which its title repeats; ADR n names one page."""
    pages = sorted((ROOT / "docs" / "adr").glob("*.md"))
    titles = [page.read_text(encoding="utf-8").split("\n", 1)[0] for page in pages]

    assert [page.name[:4] for page in pages] == [f"{n:04}" for n in range(1, len(pages) + 1)]
    assert [title[2:6] for title in titles] == [page.name[:4] for page in pages]
