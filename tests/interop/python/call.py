"""
Calls a model through the provider's own client with one instrumentation switched on.

``call.py INSTRUMENTATION EXPORTER URL MODEL_URL PROJECT``: six calls of the chat API
(an answer, a tool call, both as a stream, two errors), each in a span of its own that is
named after the case. Spans go to URL, log records to the same place; the model listens at
MODEL_URL.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from functools import partial

import openai
from openinference.instrumentation import openai as openinference  # type: ignore[import-not-found]
from opentelemetry.exporter.otlp.proto.grpc import (
    _log_exporter as grpc_logs,
    trace_exporter as grpc,
)
from opentelemetry.exporter.otlp.proto.http import (
    _log_exporter as http_logs,
    trace_exporter as http,
)
from opentelemetry.instrumentation.openai import (  # type: ignore[import-not-found]
    OpenAIInstrumentor as OpenLlmetry,
)
from opentelemetry.instrumentation.openai_v2 import (  # type: ignore[import-not-found]
    OpenAIInstrumentor as Otel,
)
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Weather in Zürich?"},
]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather of a city.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
CASES = {
    "answer": {},
    "tool": {"tools": TOOLS},
    "answer-stream": {"stream": True, "stream_options": {"include_usage": True}},
    "tool-stream": {"tools": TOOLS, "stream": True, "stream_options": {"include_usage": True}},
    "error": {},
    "limit": {},
}


EXPORTERS = {
    "grpc": partial(grpc.OTLPSpanExporter, insecure=True),
    "http": http.OTLPSpanExporter,
}
LOG_EXPORTERS = {
    "grpc": partial(grpc_logs.OTLPLogExporter, insecure=True),
    "http": http_logs.OTLPLogExporter,
}
INSTRUMENTORS = {
    "openinference": openinference.OpenAIInstrumentor,
    "openllmetry": OpenLlmetry,
    "otel": Otel,
}
ENVIRONMENTS = {
    "otel": {
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "EVENT_ONLY",
        "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
    },
}
"""The instrumentation of OpenTelemetry sends no messages of itself; here as log records."""


@contextlib.contextmanager
def instrumented(
    instrumentation: str, kind: str, url: str, project: str
) -> Iterator[TracerProvider]:
    """Switch one instrumentation on; all that it told is sent at the end."""
    provider = TracerProvider(resource=Resource.create({"service.name": project}))
    provider.add_span_processor(SimpleSpanProcessor(EXPORTERS[kind](url)))
    logging = LoggerProvider(resource=Resource.create({"service.name": project}))
    records = LOG_EXPORTERS[kind](url.replace("/v1/traces", "/v1/logs"))
    logging.add_log_record_processor(SimpleLogRecordProcessor(records))
    os.environ.update(ENVIRONMENTS.get(instrumentation, {}))
    INSTRUMENTORS[instrumentation]().instrument(tracer_provider=provider, logger_provider=logging)
    yield provider
    provider.shutdown()
    logging.shutdown()


def main() -> None:
    """Make the calls, and send all spans before the end."""
    instrumentation, kind, url, model_url, project = sys.argv[1:]
    client = openai.OpenAI(base_url=model_url, api_key="none", max_retries=0)
    with instrumented(instrumentation, kind, url, project) as provider:
        tracer = provider.get_tracer("cases")
        for case, options in CASES.items():
            with tracer.start_as_current_span(case), contextlib.suppress(openai.APIStatusError):
                answer = client.chat.completions.create(
                    model="gpt-scripted", messages=MESSAGES, temperature=0.5, **options
                )
                if "stream" in options:
                    for _ in answer:
                        pass


if __name__ == "__main__":
    main()
