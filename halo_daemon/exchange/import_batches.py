"""Requests of an import, decoded and gathered into batches that are stored at once."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from halo_daemon.errors import DecodeError, LimitError
from halo_daemon.exchange.incoming import Incoming, Request, Skipped
from halo_daemon.exchange.json_records import dumped, parse_json
from halo_daemon.exchange.values import mapping, objects
from halo_daemon.proto.batch import DecodedRequest, DecodeLimits, ProjectOf, SpanBatch
from halo_daemon.proto.json_value import JsonObject
from halo_daemon.proto.otlp import decode_protobuf
from halo_daemon.proto.otlp_json import decode_json
from halo_daemon.proto.project import Project
from halo_daemon.proto.times import parse_unix_ns

Accept = Callable[[Sequence[SpanBatch]], Awaitable[None]]
"""Where batches go: `SpanWriter.accept`, or nowhere in a dry run."""

_LIMITS = DecodeLimits(max_spans=10**6, max_parts=2 * 10**7, max_line_bytes=2 * 1024**3)
_MAX_SAMPLES = 3


@dataclass(frozen=True, slots=True)
class StartWindow:
    """Which spans are wanted, by when they began: ``[from_unix_ns, to_unix_ns)``."""

    from_unix_ns: int = 0
    to_unix_ns: int = 2**64


EVER = StartWindow()


@dataclass
class ImportSummary:
    """What an import did."""

    files: int = 0
    unchanged_files: int = 0
    """Files that were read to their end before and did not change."""

    continued_files: int = 0
    """Files that were read from where an earlier import had stored them to."""

    restarted_files: int = 0
    """Files that were begun earlier and read from their start again."""

    accepted_spans: int = 0
    rejected_spans: int = 0
    """Spans that the decoder refused, such as those with invalid ids."""

    outside_spans: int = 0
    """Spans that began outside the window that was asked for."""

    projects: Counter[str] = field(default_factory=Counter)
    """Accepted spans by project."""

    skipped: Counter[str] = field(default_factory=Counter)
    """Records left out, by reason."""

    examples: dict[str, str] = field(default_factory=dict)
    """Where each reason was met first."""

    samples: list[JsonObject] = field(default_factory=list)
    """The first spans as they are stored."""

    @property
    def has_failed(self) -> bool:
        """Whether there was something to import and none of it could be."""
        return not self.accepted_spans and not self.outside_spans and bool(self.skipped)

    def skip(self, reason: str, where: str, count: int = 1) -> None:
        """Count records that were left out."""
        self.skipped[reason] += count
        self.examples.setdefault(reason, where)


class Gathering:
    """
    Decodes requests and holds their spans until there are enough to store.

    Args:
        project_of: Where spans go.
        window: Which spans are wanted.
        summary: Where everything is counted.
    """

    def __init__(self, project_of: ProjectOf, window: StartWindow, summary: ImportSummary) -> None:
        self.project_of = project_of
        self._window = window
        self._summary = summary
        self._lines: dict[str, tuple[Project, bytearray, int]] = {}
        self.size_bytes = 0

    def take(self, incoming: Incoming, file: str) -> None:
        """Add one request, or count what was left out."""
        if isinstance(incoming, Skipped):
            where = f"{file}, {incoming.where}" if incoming.where else file
            self._summary.skip(incoming.reason, where)
            return
        for decoded in self._decoded(incoming, file):
            self._summary.rejected_spans += decoded.rejected_spans
            for reason, count in decoded.rejected.items():
                self._summary.skip(reason, f"{file}, {decoded.error_message[:200]}", count)
            for batch in decoded.batches:
                self._add(batch)

    async def store(self, accept: Accept) -> None:
        """Store what was gathered, durably; count it only then."""
        batches = [
            SpanBatch(project, bytes(lines), spans)
            for project, lines, spans in self._lines.values()
        ]
        self._lines, self.size_bytes = {}, 0
        if not batches:
            return
        await accept(batches)
        for batch in batches:
            self._summary.accepted_spans += batch.spans
            self._summary.projects[batch.project.slug] += batch.spans

    def _add(self, batch: SpanBatch) -> None:
        lines = bytes(batch.lines)
        spans = batch.spans
        if self._window != EVER:
            kept = [line for line in lines.splitlines(keepends=True) if self._is_wanted(line)]
            self._summary.outside_spans += spans - len(kept)
            lines, spans = b"".join(kept), len(kept)
        if not spans:
            return
        for line in lines.splitlines()[: _MAX_SAMPLES - len(self._summary.samples)]:
            self._summary.samples.append(orjson.loads(line))
        slug = batch.project.slug
        project, gathered, before = self._lines.get(slug, (batch.project, bytearray(), 0))
        gathered += lines
        self._lines[slug] = (project, gathered, before + spans)
        self.size_bytes += len(lines)

    def _is_wanted(self, line: bytes) -> bool:
        start = parse_unix_ns(orjson.loads(line)["start_time"])
        return self._window.from_unix_ns <= start < self._window.to_unix_ns

    def _decoded(self, request: Request, file: str) -> Iterator[DecodedRequest]:
        """The request, or, when it cannot be decoded whole, each span of it that can."""
        decode = decode_protobuf if request.is_protobuf else decode_json
        try:
            yield decode(request.body, project_of=self.project_of, limits=_LIMITS)
            return
        except (DecodeError, LimitError) as exc:
            parts = [] if request.is_protobuf else _parts(request.body)
            if not parts:
                self._skip_request(file, exc)
        for part in parts:
            try:
                yield decode_json(part, project_of=self.project_of, limits=_LIMITS)
            except (DecodeError, LimitError) as exc:
                if len(parts) == 1:
                    self._skip_request(file, exc)
                    continue
                self._summary.rejected_spans += 1
                self._summary.skip("not an OTLP span", f"{file}, {str(exc)[:200]}")

    def _skip_request(self, file: str, exc: Exception) -> None:
        self._summary.skip("not an OTLP request", f"{file}, {str(exc)[:200]}")


def _parts(body: bytes) -> list[bytes]:
    """
    A request for each span of a request in OTLP/JSON; empty when it is none.

    Numbers that JSON has not are left out of them.
    """
    try:
        request = mapping(parse_json(body))
    except ValueError:
        return []
    return [
        dumped(
            {"resourceSpans": [{**outer, "scopeSpans": [{**scope, "spans": [span]}]}]},
        )
        for outer in objects(request.get("resourceSpans"))
        for scope in objects(outer.get("scopeSpans"))
        for span in objects(scope.get("spans"))
    ]
