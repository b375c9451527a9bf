"""Importing one file into memory, for tests."""

from pathlib import Path

import orjson

from halo_daemon.exchange.import_batches import ImportSummary
from halo_daemon.exchange.imports import Import
from halo_daemon.proto.span import Span
from halo_daemon.testing.memory_sink import MemorySink
from halo_daemon.testing.spans import TRACE_ID, span_id_of

OTLP_REQUEST = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
            "scopeSpans": [
                {
                    "spans": [
                        {
                            "traceId": TRACE_ID,
                            "spanId": span_id_of(1),
                            "name": "work",
                            "startTimeUnixNano": "5",
                            "endTimeUnixNano": "9",
                        }
                    ]
                }
            ],
        }
    ]
}
OTLP_LINE = orjson.dumps(OTLP_REQUEST)


async def imported(
    source: str, path: Path, **options: object
) -> tuple[ImportSummary, dict[str, list[Span]]]:
    """Import one file into memory; returns the summary and the spans by project."""
    sink = MemorySink()
    summary = await Import(source=source, accept=sink.accept, **options).run([path])
    return summary, {slug: sink.spans(slug) for slug in summary.projects}
