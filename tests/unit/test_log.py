import io
import json
from contextlib import redirect_stderr

import pytest
import structlog

from halo_daemon import log


@pytest.fixture(autouse=True)
def _restored():
    """Other tests get structlog as it was."""
    yield
    structlog.reset_defaults()


def _logged(**options):
    stream = io.StringIO()
    log.configure(stream=stream, **options)
    return stream, structlog.get_logger()


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_traceback_shows_no_values(log_format):
    """Local variables hold prompts and keys, so no format prints them."""
    stream, logger = _logged(log_format=log_format)
    prompt = "the user's secret " * 2

    try:
        int(prompt[:3])
    except ValueError:
        logger.exception("request_failed")

    assert "ValueError" in stream.getvalue()
    assert "the user's secret the" not in stream.getvalue()


def test_elsewhere_than_on_a_terminal_a_line_is_json():
    """Each event is one JSON object a line, with level and time."""
    stream, logger = _logged()

    logger.info("ready", port=4317)

    event = json.loads(stream.getvalue())
    assert event["event"] == "ready"
    assert event["port"] == 4317
    assert event["level"] == "info"
    assert event["timestamp"].endswith("Z")


def test_events_below_the_level_are_dropped():
    """A warning passes a level of warning, an info does not."""
    stream, logger = _logged(level="warning", log_format="json")

    logger.info("quiet")
    logger.warning("loud")

    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]


def test_without_a_stream_events_go_to_what_is_stderr_then():
    """A stderr that was replaced after the import gets the events, not the old one."""
    with redirect_stderr(io.StringIO()) as replaced:
        log.configure(log_format="json")
        structlog.get_logger().info("ready")

    assert json.loads(replaced.getvalue())["event"] == "ready"
