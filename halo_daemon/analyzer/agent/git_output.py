"""What git prints, read."""

import re
from functools import partial

from halo_daemon.analyzer.agent.answers import cut_text
from halo_daemon.proto.json_value import JsonObject, JsonValue

FIELD, RECORD = "\x1f", "\x1e"
"""Marks between the fields and the parts of what git is asked to print."""

_MAX_LINE_CHARS = 500


def commit_of(line: str) -> JsonObject:
    """A commit out of one line: hash, author, time and subject between `FIELD` marks."""
    sha, author, authored_at, subject = (*line.strip().split(FIELD), "", "", "", "")[:4]
    return {
        "full_sha": sha,
        "short_sha": sha[:12],
        "author": author,
        "authored_at": authored_at,
        "subject": subject[:500],
    }


def without_files(patch: str, hidden: re.Pattern[str]) -> str:
    """*patch* without the changes of files whose path *hidden* finds; it says which are left out."""
    sections = re.split(r"(?m)^(?=diff --git )", patch)
    return "".join(map(partial(_unless_hidden, hidden), sections))


def _unless_hidden(hidden: re.Pattern[str], section: str) -> str:
    head = section.partition("\n")[0]
    if not head.startswith("diff --git "):
        return section
    names = head.removeprefix("diff --git ").replace('"', "").split(" ")
    if any(hidden.search(re.sub("^[ab]/", "", name)) for name in names):
        return f"{head}\n(not shown: may hold credentials)\n"
    return section


def blame_rows(output: str) -> list[JsonValue]:
    """The lines of ``git blame --line-porcelain``, in order."""
    rows: list[JsonValue] = []
    fields: dict[str, str] = {}
    for line in output.splitlines():
        head = re.fullmatch(r"([0-9a-f]{40}|[0-9a-f]{64}) [0-9]+ ([0-9]+).*", line)
        if line.startswith("\t"):
            rows.append(
                {
                    "line_number": int(fields.get("line", "0")),
                    "short_sha": fields.get("sha", ""),
                    "author": fields.get("author", ""),
                    "summary": fields.get("summary", ""),
                    "line_text": cut_text(line[1:], _MAX_LINE_CHARS),
                }
            )
        elif head:
            fields = {"sha": head[1][:12], "line": head[2]}
        elif line.startswith(("author ", "summary ")):
            key, _sep, value = line.partition(" ")
            fields[key] = value
    return rows
