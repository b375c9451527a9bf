import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
    Summary,
    SummaryDataPoint,
)

from halo_daemon.errors import DecodeError
from tests.conformance.requests import START_UNIX_NS, base_span, body_of
from tests.unit.proto.decoding import attribute, from_protobuf

POINT = {"time_unix_nano": START_UNIX_NS, "attributes": [attribute("host", "a")]}
NUMBER = NumberDataPoint(as_int=3, **POINT)


@pytest.mark.parametrize(
    "metric",
    [
        pytest.param({"sum": Sum(data_points=[NUMBER], is_monotonic=True)}, id="sum"),
        pytest.param({"gauge": Gauge(data_points=[NUMBER])}, id="gauge"),
        pytest.param(
            {"histogram": Histogram(data_points=[HistogramDataPoint(count=1, **POINT)])},
            id="histogram",
        ),
        pytest.param(
            {
                "exponential_histogram": ExponentialHistogram(
                    data_points=[ExponentialHistogramDataPoint(count=1, **POINT)]
                )
            },
            id="exponential",
        ),
        pytest.param(
            {"summary": Summary(data_points=[SummaryDataPoint(count=1, **POINT)])}, id="summary"
        ),
    ],
)
@pytest.mark.parametrize(
    ("name", "description"), [("http.requests", "all"), ("sixteen.letters_", "8letters")]
)
def test_metrics_on_the_traces_path_are_named(metric, name, description):
    """C66: every kind of metric is refused with the hint, valid-looking ids or not."""
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add().metrics.append(
        Metric(name=name, description=description, unit="1", **metric)
    )

    with pytest.raises(
        DecodeError, match=r"OTLP metrics on the traces path.*OTEL_METRICS_EXPORTER"
    ):
        from_protobuf(request.SerializeToString())


def test_one_metric_of_very_many_points_is_named():
    """C66: a request that is cut into pieces gets the same hint as a small one."""
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add().metrics.append(
        Metric(name="http.requests", sum=Sum(data_points=[NUMBER] * 20_000))
    )

    with pytest.raises(DecodeError, match="OTEL_METRICS_EXPORTER"):
        from_protobuf(request.SerializeToString())


@pytest.mark.parametrize(
    "record",
    [
        pytest.param({}, id="no-trace-id"),
        pytest.param({"trace_id": b"\xf1" * 16, "span_id": b"\xe2" * 8}, id="trace-id"),
    ],
)
@pytest.mark.parametrize("text", ["short", "long " * 40])
def test_logs_on_the_traces_path_are_named(record, text):
    """C67: logs are refused with the hint, whether they parse as spans or not."""
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.append(
        LogRecord(
            time_unix_nano=START_UNIX_NS,
            observed_time_unix_nano=START_UNIX_NS,
            severity_text="INFO",
            body=AnyValue(string_value=text),
            attributes=[attribute("a", "b")],
            **record,
        )
    )

    with pytest.raises(DecodeError, match=r"OTLP logs on the traces path.*OTEL_LOGS_EXPORTER"):
        from_protobuf(request.SerializeToString())


@pytest.mark.parametrize("name", ["", "\n", "s"])
def test_spans_without_times_are_still_spans(name):
    """C48: a span with nothing but ids is odd, and no metric."""
    body = body_of(base_span(name=name, start_time_unix_nano=0, end_time_unix_nano=0))

    assert len(from_protobuf(body).spans) == 1


def test_bad_utf8_in_a_span_is_no_other_signal():
    """The search for other signals does not keep traces from being repaired."""
    body = body_of(base_span(name="B\1D")).replace(b"B\1D", b"B\xffD")

    assert from_protobuf(body).spans[0]["name"] == "B\ufffdD"
