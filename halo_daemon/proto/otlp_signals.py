"""Telling a sender that it posted another signal than traces."""

from typing import Final

from halo_daemon.proto.json_value import JsonObject

METRICS: Final = "metrics"
LOGS: Final = "logs"

_JSON_KEYS: Final = {
    METRICS: ("resourceMetrics", "resource_metrics"),
    LOGS: ("resourceLogs", "resource_logs"),
}


def hint(signal: str) -> str:
    """What to tell a sender whose traces are *signal*."""
    name = signal.upper()
    return (
        f"this looks like OTLP {signal} on the traces path: set "
        f"OTEL_EXPORTER_OTLP_{name}_ENDPOINT, or turn them off with OTEL_{name}_EXPORTER=none"
    )


def hint_of_json(request: JsonObject) -> str:
    """The hint for a JSON request that holds another signal; ``""`` for none."""
    for signal, keys in _JSON_KEYS.items():
        if any(key in request for key in keys):
            return hint(signal)
    return ""
