"""Golden lines: what a request becomes, byte by byte, reviewed by eye."""

import os
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.unit.proto.decoding import from_both

GOLDEN = Path(__file__).parents[3] / "golden" / "proto"
UPDATE = "HALO_UPDATE_GOLDEN"


class Golden:
    """Compares the lines of a request with a file; ``HALO_UPDATE_GOLDEN=1`` rewrites it."""

    def check(self, name: str, request: ExportTraceServiceRequest) -> None:
        """Hold the lines of *request* against the file that is called *name*."""
        lines = b"".join(batch.lines for batch in from_both(request).request.batches)
        path = GOLDEN / f"{name}.jsonl"
        if os.environ.get(UPDATE):
            path.write_bytes(lines)

        assert lines.decode() == path.read_text(encoding="utf-8")


@pytest.fixture
def golden() -> Golden:
    """The golden files."""
    return Golden()
