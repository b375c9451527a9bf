"""Which tool wrote a file, told from its first bytes and never from its name; pure."""

import codecs
import re
from collections.abc import Iterator

from halo_daemon.exchange.files import PEEK_BYTES, is_framed, is_lone_request

PARQUET = "parquet"
UTF_16 = "UTF-16"
_PARQUET_MAGIC = b"PAR1"
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MAX_DEPTH = 5
_TOKEN = re.compile(
    rb'(?P<text>"(?:[^"\\\n]++|\\.)*+")\s*(?P<colon>:?)|(?P<mark>[{}\[\]])', re.DOTALL
)
_ATIF = re.compile(rb'"schema_version"\s*:\s*"ATIF-')
_AGENTS_SDK = re.compile(rb'"object"\s*:\s*"trace(?:\.span)?"')
_CODEX_ITEM = re.compile(
    rb'"type"\s*:\s*"(?:message|reasoning|function_call|function_call_output|local_shell_call)"'
)
_WRAPPERS = ("", "data.", "spans.", "observations.", "runs.", "traces.", "traces.spans.")


def recognise(head: bytes) -> str:
    """
    The source that a file is of: a name `halo-daemon import` takes, `PARQUET`, or `UTF_16`.

    Args:
        head: The first bytes, unpacked; as many as are at hand.

    Returns:
        ``""`` when it is of none that is known.
    """
    if is_framed(head) or is_lone_request(head):
        return "otlp"
    if head.startswith(_PARQUET_MAGIC):
        return PARQUET
    if head.startswith(_UTF_16_MARKS):
        return UTF_16
    for paths in _objects(head[:PEEK_BYTES]):
        for wrapper in _WRAPPERS:
            found = _source_of({path[len(wrapper) :] for path in paths if path.startswith(wrapper)})
            if found:
                return _told_apart(found, head)
    return ""


def _source_of(keys: set[str]) -> str:
    """The source whose objects have these keys; ``?`` where a value has to decide."""
    for source, needed in _NEEDED:
        if all(any(one in keys for one in alternatives) for alternatives in needed):
            return source
    return ""


_NEEDED: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = (
    (
        "otlp",
        (
            (
                "resourceSpans",
                "resource_spans",
                "resourceMetrics",
                "resource_metrics",
                "resourceLogs",
                "resource_logs",
            ),
        ),
    ),
    ("halo", (("trace_id",), ("span_id",), ("resource",), ("scope",))),
    ("phoenix", (("context.trace_id",), ("span_kind",))),
    ("mlflow", (("info",), ("data", "data.spans", "spans"))),
    ("mlflow", (("attributes.mlflow.spanType", "attributes.mlflow.traceRequestId"),)),
    ("langsmith", (("run_type",), ("trace_id", "dotted_order", "session_id"))),
    ("langfuse", (("traceId",), ("startTime",), ("id",))),
    ("langfuse", (("trace_id",), ("id",), ("parent_observation_id",))),
    ("codex", (("payload",), ("type",), ("timestamp",))),
    ("claude-code", (("type",), ("sessionId",), ("uuid", "leafUuid"))),
    ("claude-code", (("type",), ("leafUuid",), ("summary",))),
    ("?atif", (("schema_version",), ("steps", "agent", "session_id"))),
    ("?openai-agents", (("object",), ("id",))),
    ("?codex", (("type",), ("content", "call_id", "summary"))),
)


def _told_apart(found: str, head: bytes) -> str:
    decisive = {"?atif": _ATIF, "?openai-agents": _AGENTS_SDK, "?codex": _CODEX_ITEM}.get(found)
    if decisive is None:
        return found
    return found[1:] if decisive.search(head) else ""


def _objects(head: bytes) -> Iterator[set[str]]:
    """Key paths of each outermost value, lists left out of the path; the last may be cut."""
    stack: list[str] = []
    key = ""
    paths: set[str] = set()
    for token in _TOKEN.finditer(head):
        text, mark = token["text"], token["mark"]
        if text is not None:
            key = text[1:-1].decode("utf-8", "replace") if token["colon"] else ""
            if key and len(stack) <= _MAX_DEPTH:
                paths.add(".".join([*filter(None, stack), key]))
        elif mark in {b"{", b"["}:
            stack.append(key)
            key = ""
        elif stack:
            stack.pop()
            key = ""
            if not stack:
                yield paths
                paths = set()
    yield paths
