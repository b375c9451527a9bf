"""
Calls a model through the provider's own client with one instrumentation switched on.

``call.py INSTRUMENTATION EXPORTER URL MODEL_URL PROJECT``: six calls of the chat API
(an answer, a tool call, both as a stream, two errors), each in a span of its own that is
named after the case. Spans go to URL; the model listens at MODEL_URL.
"""

import contextlib
import sys
from functools import partial

import openai
from openinference.instrumentation import openai as openinference  # type: ignore[import-not-found]
from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc
from opentelemetry.exporter.otlp.proto.http import trace_exporter as http
from opentelemetry.instrumentation import openai as openllmetry  # type: ignore[import-not-found]
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
INSTRUMENTORS = {
    "openinference": openinference.OpenAIInstrumentor,
    "openllmetry": openllmetry.OpenAIInstrumentor,
}


def main() -> None:
    """Make the calls, and send all spans before the end."""
    instrumentation, kind, url, model_url, project = sys.argv[1:]
    provider = TracerProvider(resource=Resource.create({"service.name": project}))
    provider.add_span_processor(SimpleSpanProcessor(EXPORTERS[kind](url)))
    INSTRUMENTORS[instrumentation]().instrument(tracer_provider=provider)
    client = openai.OpenAI(base_url=model_url, api_key="none", max_retries=0)
    tracer = provider.get_tracer("cases")
    for case, options in CASES.items():
        with tracer.start_as_current_span(case), contextlib.suppress(openai.APIStatusError):
            answer = client.chat.completions.create(
                model="gpt-scripted", messages=MESSAGES, temperature=0.5, **options
            )
            if "stream" in options:
                for _ in answer:
                    pass
    provider.shutdown()


if __name__ == "__main__":
    main()
