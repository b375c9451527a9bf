"""
Generates the pages about semantic conventions.

    python -m scripts.conventions             write docs/reference/conventions.md
    python -m scripts.conventions --check     fail when it is not up to date
    python -m scripts.conventions --captures DIR
                                              print what is recognised in DIR/<dialect>/*.pb
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from halo_daemon.proto.batch import DecodeLimits
from halo_daemon.proto.json_value import Attributes
from halo_daemon.proto.otlp import decode_protobuf
from halo_daemon.proto.project import Project
from halo_daemon.proto.semconv import targets
from halo_daemon.proto.semconv.conventions import CONVENTIONS
from halo_daemon.proto.semconv.rows import Convention, Row
from halo_daemon.proto.span import Span
from scripts.capture_hints import Hints, hints_of

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "conventions.md"
HEAD = """\
# Semantic conventions

This page is generated from the mapping in `halo_daemon/proto/semconv` by `python -m scripts.conventions`.

Every attribute is stored as it was sent.
Beside it, each span gets fields that mean the same whatever framework wrote it.
They are found key by key: of two conventions on one span, the one with the lower rank wins, field by field.
Within a row, keys stand in order of preference.

## The fields

| Field | Written |
|---|---|
"""
NOTES = """
Tokens and cost stay on spans that are one model call (LLM, EMBEDDING, RERANKER); elsewhere they are totals and go to `halo.aggregate.*`.
Input tokens include cached ones: where a producer counts those apart, they are added.
A span without any word of its kind is an LLM span when it names a model, and SPAN otherwise.
"""


def main(arguments: list[str] | None = None) -> int:
    """Write or check the page, or print the table of captures; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--captures", type=Path)
    options = parser.parse_args(arguments)
    if options.captures:
        print(recognition_table(options.captures))
        return 0
    page = mapping_page()
    if not options.check:
        PAGE.write_text(page, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page:
        print(f"{PAGE} is not up to date: run python -m scripts.conventions", file=sys.stderr)
        return 1
    return 0


def mapping_page() -> str:
    """The page, from the mapping alone."""
    fields = [
        *(f"| `{key}` | always, {_unknown(key)} when unknown |" for key in targets.TAIL),
        *(f"| `{key}` | where the client sent none |" for key in targets.FILLED),
        f"| `{targets.KIND_MIRROR}` | where the client sent none and the kind is known |",
        f"| `{targets.ERROR_TYPE}` | from an exception event, where the client sent none |",
    ]
    conventions = sorted(CONVENTIONS, key=lambda convention: convention.rank)
    sections = ["\n".join(_section(convention)) for convention in conventions]
    return HEAD + "\n".join(fields) + "\n" + NOTES + "\n" + "\n\n".join(sections) + "\n"


def _unknown(key: str) -> str:
    return '`""`' if key == targets.AGENT_NAME else "`null`"


def _section(convention: Convention) -> Iterator[str]:
    yield f"## {convention.title} ({convention.id}, rank {convention.rank})"
    yield ""
    if convention.is_gated:
        scopes = [f"scope `{scope}…`" for scope in convention.scopes]
        signs = [f"`{sign}`" for sign in convention.signs]
        yield f"Counts only where one of these is seen: {', '.join([*scopes, *signs])}."
        yield ""
    if convention.rows:
        yield "| Field | From | On | Read as |"
        yield "|---|---|---|---|"
        yield from (_line(row) for row in convention.rows)
    if convention.events:
        yield ""
        names = ", ".join(f"`{name}`" for name in convention.events)
        yield f"Span events whose attributes count as the span's own: {names}."
    if convention.names:
        yield ""
        names = ", ".join(f"`{name.pattern}` → {name.kind}" for name in convention.names)
        yield f"Span names: {names}."


def _line(row: Row) -> str:
    keys = ", ".join(f"`{key}`" for key in row.keys)
    kinds = "" if row.only is None else _kinds(row.only)
    label = row.reader.label.replace("|", "\\|")
    if row.excludes_cache:
        label = f"{label}; cached tokens are added".lstrip("; ")
    return f"| `{row.target}` | {keys} | {kinds} | {label} |"


def _kinds(kinds: frozenset[str]) -> str:
    missing = targets.KINDS - kinds
    if len(missing) < len(kinds):
        return "all but " + ", ".join(sorted(missing))
    return ", ".join(sorted(kinds))


_COLUMNS = (
    "Dialect", "Spans", "…of an agent", "…with kind", "LLM", "…model", "Usage sent", "…tokens",
    "Prompt sent", "…messages", "Answer sent", "…messages", "Tools", "…named",
)  # fmt: skip


def recognition_table(captures: Path) -> str:
    """What is recognised in requests captured from real instrumentations, by dialect."""
    lines = [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    for dialect in sorted(path for path in captures.iterdir() if path.is_dir()):
        spans = list(_spans(dialect))
        if spans:
            counts = _counts(spans, dict(hints_of(dialect)))
            lines.append(f"| {dialect.name} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines)


def _counts(spans: list[Span], hints: dict[tuple[str, str], Hints]) -> list[int]:
    hinted = [(span, hints[span.trace_id, span.span_id]) for span in spans]
    calls = [(span, hint) for span, hint in hinted if span.observation_kind == targets.LLM]
    tools = [span for span in spans if span.observation_kind == targets.TOOL]
    return [
        len(spans),
        sum(hint.observed for _, hint in hinted),
        sum(hint.observed and span.observation_kind != targets.SPAN for span, hint in hinted),
        len(calls),
        sum(bool(span.model) for span, _ in calls),
        sum(hint.usage for _, hint in calls),
        sum(hint.usage and has_tokens(span) for span, hint in calls),
        sum(hint.asked for _, hint in calls),
        sum(hint.asked and has_messages(span, targets.INPUT_MESSAGES) for span, hint in calls),
        sum(hint.answered for _, hint in calls),
        sum(hint.answered and has_messages(span, targets.OUTPUT_MESSAGES) for span, hint in calls),
        len(tools),
        sum(bool(span.text("tool.name")) for span in tools),
    ]


def has_tokens(span: Span) -> bool:
    """Whether its tokens are known."""
    return span.input_tokens is not None or span.output_tokens is not None


def has_messages(span: Span, direction: str) -> bool:
    """Whether its messages of that direction are there in the common form."""
    return any(key.startswith(f"{direction}.") for key in span.attributes)


def _spans(dialect: Path) -> Iterator[Span]:
    for path in sorted(dialect.glob("*.pb")):
        decoded = decode_protobuf(path.read_bytes(), project_of=_project_of, limits=DecodeLimits())
        for batch in decoded.batches:
            yield from (Span.from_line(line) for line in batch.lines.split(b"\n")[:-1])


def _project_of(_: Attributes) -> Project:
    return Project("captures", "captures")


if __name__ == "__main__":
    sys.exit(main())
