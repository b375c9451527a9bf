import orjson

from halo_daemon.proto.batch import SpanBatch
from halo_daemon.proto.project import project_named
from halo_daemon.proto.redact_line import Redaction, masked
from halo_daemon.store.redacting_sink import RedactingSink
from halo_daemon.testing.memory_sink import MemorySink
from halo_daemon.testing.spans import make_line, span_id_of

_KEY = "sk-proj-" + "a1" * 20


async def test_only_lines_with_secrets_change():
    """Lines without are stored byte for byte, and a batch keeps its project and count."""
    sink = MemorySink()
    plain, secret = make_line(span_id=span_id_of(1)), make_line(span_id=span_id_of(2), name=_KEY)
    batch = SpanBatch(project_named("p"), plain + secret + plain, 3)

    await RedactingSink(sink.accept, Redaction(secrets=masked)).accept([batch])

    lines = sink.lines("p").splitlines(keepends=True)
    assert [lines[0], lines[2]] == [plain, plain]
    assert orjson.loads(lines[1])["name"] == "[redacted:api-key]"
