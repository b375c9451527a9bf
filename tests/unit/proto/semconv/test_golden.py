import orjson
import pytest

from halo_daemon.proto.semconv import project_fields
from halo_daemon.proto.semconv.conventions import CONVENTIONS
from halo_daemon.proto.semconv.rows import FAMILY_SUFFIX, Convention
from tests.unit.proto.semconv.conftest import GOLDEN
from tests.unit.proto.semconv.golden_dialects import DIALECTS, dialect, message_events
from tests.unit.proto.semconv.golden_requests import failed_tool, model_call


def test_a_model_call(golden):
    """A model call in today's GenAI keys is the documented line."""
    golden.check("model_call", model_call())


def test_a_failed_tool(golden):
    """So is a tool that ended with an exception, with everything OTLP can attach."""
    golden.check("failed_tool", failed_tool())


def test_messages_in_events(golden):
    """Messages, tool results and scores in span events are read."""
    golden.check("message_events", message_events())


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_dialects(name, golden):
    """Each vocabulary gives the lines that were reviewed."""
    golden.check(f"dialect_{name}", dialect(name))


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.glob("*.jsonl")))
def test_a_golden_line_read_again_is_the_same(name):
    """Projecting a stored line of any vocabulary changes nothing."""
    for line in (GOLDEN / name).read_bytes().splitlines():
        assert orjson.dumps(project_fields(orjson.loads(line))) == line


def is_spoken(convention: Convention, keys: set[str], names: set[str]) -> bool:
    """Whether one of these keys or span names stands in the table of *convention*."""
    known = [key for row in convention.rows for key in row.keys]
    families = tuple(key.removesuffix("*") for key in known if key.endswith(FAMILY_SUFFIX))
    return (
        not keys.isdisjoint(known)
        or any(key.startswith(families) for key in keys)
        or any(
            pattern.replace("*", "") in name for pattern, _ in convention.names for name in names
        )
    )


def test_no_convention_is_without_a_golden_line():
    """Each table of the mapping is held by at least one reviewed line."""
    requests = [*map(dialect, DIALECTS), message_events(), model_call(), failed_tool()]
    spans = [
        span
        for request in requests
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]
    keys = {entry.key for span in spans for entry in span.attributes}
    names = {span.name for span in spans}

    missing = [one.title for one in CONVENTIONS if not is_spoken(one, keys, names)]
    assert missing == []
