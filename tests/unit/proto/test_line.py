import json

import pytest

from halo_daemon.proto.batch import DecodeLimits
from halo_daemon.proto.otlp_json import decode_json
from halo_daemon.proto.project import project_named


def _request(attributes):
    span = {"traceId": "1" * 32, "spanId": "2" * 16, "name": "own"}
    return json.dumps(
        {
            "resourceSpans": [
                {"resource": {"attributes": attributes}, "scopeSpans": [{"spans": [span]}]}
            ]
        }
    ).encode()


@pytest.mark.parametrize(
    ("mark", "rejected"),
    [
        pytest.param({"boolValue": True}, {"own_telemetry": 1}, id="own"),
        pytest.param({"boolValue": False}, {}, id="marked-as-foreign"),
        pytest.param({"stringValue": "true"}, {}, id="another-type"),
    ],
)
def test_the_daemons_own_spans_are_refused(mark, rejected):
    """A resource marked as halo-daemon's own is refused, or it would analyse itself for ever."""
    decoded = decode_json(
        _request([{"key": "halo.self", "value": mark}]),
        project_of=lambda _: project_named("p"),
        limits=DecodeLimits(),
    )

    assert decoded.rejected == rejected
