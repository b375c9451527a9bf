import pytest

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
