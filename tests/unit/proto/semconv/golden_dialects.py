"""One small request for each vocabulary, as its producer spells it; all made up."""

from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.unit.proto.decoding import attributes
from tests.unit.proto.semconv.golden_frameworks import FRAMEWORKS
from tests.unit.proto.semconv.golden_requests import (
    WEATHER,
    WEATHER_JSON,
    Dialect,
    as_json,
    request,
    span,
)

ASKED = {"role": "user", "content": "Regnet es in Zürich?"}
CALL = {"id": "call_9", "function": {"name": "get_weather", "arguments": WEATHER_JSON}}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}

DIALECTS: dict[str, Dialect] = FRAMEWORKS | {
    "openinference": (
        "openinference.instrumentation.smolagents",
        [
            ("CodeAgent.run", {"openinference.span.kind": "AGENT", "llm.token_count.prompt": 99, "smolagents.max_steps": 3}),
            ("Model.generate", {"openinference.span.kind": "LLM", "llm.model_name": "small", "llm.system": "openai", "llm.token_count.prompt": 99, "llm.token_count.completion": 7, "llm.finish_reason": "stop", "llm.prompts.0.prompt.text": "Regnet es?", "llm.choices.0.completion.text": "Ja."}),
            ("Weather", {"openinference.span.kind": "TOOL", "tool.name": "get_weather", "tool.id": "call_9", "input.value": WEATHER_JSON, "output.value": '{"error": "no such city"}'}),
            ("search", {"openinference.span.kind": "RETRIEVER", "retrieval.documents.0.document.content": "Regen"}),
        ],
    ),
    "spring_ai": (
        "org.springframework.boot",
        [
            ("spring_ai chat_client", {"spring.ai.kind": "chat_client", "gen_ai.operation.name": "framework", "gen_ai.system": "spring_ai", "spring.ai.chat.client.conversation.id": "session-1"}),
            ("chat small", {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "small", "gen_ai.response.model": "small-2026", "gen_ai.usage.input_tokens": "20", "gen_ai.usage.output_tokens": "4", "gen_ai.usage.total_tokens": "24", "gen_ai.response.finish_reasons": '["TOOL_CALLS"]'}),
            ("tool_call get_weather", {"spring.ai.kind": "tool_call", "gen_ai.operation.name": "framework", "gen_ai.system": "spring_ai", "spring.ai.tool.definition.name": "get_weather", "spring.ai.tool.call.id": "call_9", "spring.ai.tool.call.arguments": WEATHER_JSON, "spring.ai.tool.call.result": '"Regen"'}),
        ],
    ),
    "mastra": (
        "@mastra/otel",
        [
            ("invoke_agent forecaster", {"mastra.span.type": "agent_run", "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "forecaster", "gen_ai.agent.id": "forecaster-1", "gen_ai.conversation.id": "session-1", "mastra.agent_run.input": "Regnet es?", "mastra.agent_run.output": '{"text":"Ja."}'}),
            ("chat small", {"mastra.span.type": "model_generation", "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "small", "gen_ai.usage.input_tokens": 20, "gen_ai.usage.output_tokens": 4, "gen_ai.usage.cached_input_tokens": 8, "gen_ai.input.messages": as_json([{"role": "user", "parts": [{"type": "text", "content": "Regnet es?"}]}]), "gen_ai.output.messages": as_json([{"role": "assistant", "parts": [{"type": "text", "content": "Ja."}]}])}),
            ("step 0", {"mastra.span.type": "model_step", "gen_ai.operation.name": "model_step", "mastra.model_step.output": '{"text":"Ja."}'}),
            ("execute_tool get_weather", {"mastra.span.type": "tool_call", "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_weather", "gen_ai.tool.call.arguments": WEATHER_JSON, "gen_ai.tool.call.result": "Regen"}),
        ],
    ),
    "pipecat": (
        "pipecat",
        [
            ("conversation", {"conversation.id": "session-1", "conversation.type": "voice"}),
            ("turn", {"turn.number": 1, "conversation.id": "session-1", "turn.was_interrupted": False}),
            ("stt", {"gen_ai.provider.name": "deepgram", "gen_ai.request.model": "ears", "gen_ai.operation.name": "stt", "transcript": "Regnet es?", "metrics.ttfb": 0.25}),
            ("llm", {"gen_ai.provider.name": "openai", "gen_ai.request.model": "small", "gen_ai.operation.name": "chat", "input": as_json([ASKED]), "output": "Ja.", "tools": as_json([TOOL]), "gen_ai.usage.input_tokens": 20, "gen_ai.usage.output_tokens": 4, "metrics.ttfb": 0.5}),
        ],
    ),
    "langwatch": (
        "langwatch",
        [
            ("answer", {"langwatch.span.type": "llm", "gen_ai.request.model": "small", "langwatch.metrics": as_json({"type": "json", "value": {"promptTokens": 20, "completionTokens": 4, "cost": 0.001}}), "langwatch.input": as_json({"type": "chat_messages", "value": [ASKED]}), "langwatch.output": as_json({"type": "text", "value": "Ja."}), "langwatch.thread.id": "session-1"}),
            ("search", {"langwatch.span.type": "rag", "langwatch.input": '{"type":"text","value":"Regnet es?"}', "langwatch.contexts": as_json({"type": "json", "value": [{"document_id": "d1", "content": "Regen"}]})}),
        ],
    ),
    "traceloop": (
        "opentelemetry.instrumentation.openai.v1",
        [
            ("weather.workflow", {"traceloop.span.kind": "workflow", "traceloop.entity.name": "weather", "traceloop.entity.input": '{"city":"Zürich"}', "traceloop.association.properties.session_id": "session-1", "traceloop.association.properties.user_id": "user-1"}),
            ("openai.chat", {"llm.request.type": "chat", "gen_ai.system": "OpenAI", "gen_ai.request.model": "small", "gen_ai.response.model": "small-2026", "gen_ai.usage.prompt_tokens": 20, "gen_ai.usage.completion_tokens": 4, "llm.usage.total_tokens": 24, "gen_ai.usage.cache_read_input_tokens": 8, "gen_ai.prompt.0.role": "system", "gen_ai.prompt.0.content": "Be brief.", "gen_ai.prompt.1.role": "user", "gen_ai.prompt.1.content": "Regnet es?", "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.finish_reason": "tool_calls", "gen_ai.completion.0.tool_calls.0.id": "call_9", "gen_ai.completion.0.tool_calls.0.name": "get_weather", "gen_ai.completion.0.tool_calls.0.arguments": WEATHER_JSON, "llm.request.functions.0.name": "get_weather", "llm.request.functions.0.parameters": '{"type":"object"}'}),
            ("get_weather.tool", {"traceloop.span.kind": "tool", "traceloop.entity.name": "get_weather", "traceloop.entity.input": WEATHER_JSON, "traceloop.entity.output": "Regen"}),
            ("pinecone.query", {"db.system": "pinecone", "db.operation": "query"}),
        ],
    ),
    "vercel": (
        "ai",
        [
            ("ai.generateText forecast", {"operation.name": "ai.generateText forecast", "ai.operationId": "ai.generateText", "ai.telemetry.functionId": "forecast", "ai.model.id": "small", "ai.usage.promptTokens": 12, "ai.usage.completionTokens": 5, "ai.prompt": as_json({"system": "Be brief.", "prompt": "Regnet es?"}), "ai.response.text": "Ja.", "ai.telemetry.metadata.sessionId": "session-1"}),
            ("ai.generateText.doGenerate", {"ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "small", "ai.model.provider": "openai.chat", "ai.response.model": "small-2026", "ai.usage.inputTokens": 12, "ai.usage.outputTokens": 5, "ai.usage.cachedInputTokens": 2, "ai.usage.reasoningTokens": 1, "ai.prompt.messages": as_json([{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "Regnet es?"}]}]), "ai.prompt.tools": [as_json({"type": "function", "name": "get_weather"})], "ai.response.text": "Moment.", "ai.response.toolCalls": as_json([{"toolCallId": "call_9", "toolName": "get_weather", "input": WEATHER}]), "ai.response.finishReason": "tool-calls"}),
            ("ai.toolCall", {"ai.operationId": "ai.toolCall", "ai.toolCall.name": "get_weather", "ai.toolCall.id": "call_9", "ai.toolCall.args": WEATHER_JSON, "ai.toolCall.result": '"Regen"'}),
            ("ai.embed.doEmbed", {"ai.operationId": "ai.embed.doEmbed", "ai.model.id": "embed", "ai.usage.tokens": 3, "ai.values": ["Regen"]}),
        ],
    ),
    "langfuse": (
        "langfuse-sdk",
        [
            ("forecaster", {"langfuse.observation.type": "agent", "langfuse.session.id": "session-1", "langfuse.user.id": "user-1", "langfuse.observation.input": "Regnet es?"}),
            ("generation", {"langfuse.observation.type": "generation", "langfuse.observation.model.name": "small", "langfuse.observation.usage_details": as_json({"input": 10, "input_cached_tokens": 30, "output": 4, "total": 44, "output_reasoning_tokens": 2}), "langfuse.observation.cost_details": as_json({"input": 0.001, "output": 0.002}), "langfuse.observation.input": as_json([ASKED]), "langfuse.observation.output": as_json({"role": "assistant", "content": None, "tool_calls": [CALL]})}),
            ("get_weather", {"langfuse.observation.type": "tool", "langfuse.observation.input": WEATHER_JSON, "langfuse.observation.output": "kaputt", "langfuse.observation.level": "ERROR"}),
        ],
    ),
    "langsmith": (
        "langsmith",
        [
            ("ChatOpenAI", {"langsmith.span.kind": "llm", "gen_ai.system": "openai", "gen_ai.request.model": "small", "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 3, "gen_ai.usage.input_token_details": '{"cache_read": 4}', "gen_ai.usage.output_token_details": '{"reasoning": 2}', "gen_ai.prompt": as_json({"messages": [[{"id": ["langchain", "HumanMessage"], "kwargs": {"type": "human", "content": "Regnet es?"}}]]}), "gen_ai.completion": as_json({"generations": [[{"text": "Ja.", "message": {"kwargs": {"type": "ai", "content": "Ja."}}}]]}), "langsmith.metadata.thread_id": "thread-1", "langsmith.trace.session_id": "project-1"}),
            ("retrieve", {"langsmith.span.kind": "retriever", "gen_ai.completion": as_json({"documents": [{"page_content": "Regen", "metadata": {"page": 1}}]})}),
        ],
    ),
    "pydantic_ai": (
        "pydantic-ai",
        [
            ("agent run", {"agent_name": "forecaster", "model_name": "small", "gen_ai.usage.input_tokens": 40, "gen_ai.usage.output_tokens": 6, "final_result": "Ja.", "all_messages_events": as_json([{"event.name": "gen_ai.user.message", "role": "user", "content": "Regnet es?"}])}),
            ("chat small", {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "small", "gen_ai.usage.input_tokens": 40, "gen_ai.usage.output_tokens": 6, "gen_ai.usage.details.reasoning_tokens": 2, "operation.cost": 0.004, "events": as_json([{"event.name": "gen_ai.user.message", "role": "user", "content": "Regnet es?"}, {"event.name": "gen_ai.choice", "index": 0, "message": {"role": "assistant", "tool_calls": [CALL]}}]), "model_request_parameters": as_json({"function_tools": [{"name": "get_weather"}]})}),
            ("running tool: get_weather", {"gen_ai.tool.name": "get_weather", "gen_ai.tool.call.id": "call_9", "tool_arguments": WEATHER_JSON, "tool_response": "Regen", "logfire.msg": "running tool: get_weather"}),
        ],
    ),
    "google_adk": (
        "gcp.vertex.agent",
        [
            ("invocation", {}),
            ("agent_run [forecaster]", {"gen_ai.system": "gcp.vertex.agent"}),
            ("call_llm", {"gen_ai.system": "gcp.vertex.agent", "gcp.vertex.agent.session_id": "session-1", "gcp.vertex.agent.llm_request": as_json({"model": "small", "contents": [{"role": "user", "parts": [{"text": "Regnet es?"}]}]}), "gcp.vertex.agent.llm_response": as_json({"content": {"role": "model", "parts": [{"function_call": {"id": "call_9", "name": "get_weather", "args": WEATHER}}]}, "finish_reason": "STOP", "usage_metadata": {"prompt_token_count": 15, "candidates_token_count": 3, "thoughts_token_count": 1}})}),
            ("execute_tool get_weather", {"gen_ai.system": "gcp.vertex.agent", "gcp.vertex.agent.tool_call_args": WEATHER_JSON, "gcp.vertex.agent.tool_response": '{"result":"Regen"}', "gcp.vertex.agent.llm_request": "{}", "gcp.vertex.agent.llm_response": "{}"}),
        ],
    ),
    "claude_code": (
        "com.anthropic.claude_code.tracing",
        [
            ("claude_code.interaction", {"span.type": "interaction", "user_prompt": "<REDACTED>", "session.id": "session-1"}),
            ("claude_code.llm_request", {"span.type": "llm_request", "model": "claude-small", "input_tokens": 3, "output_tokens": 40, "cache_read_tokens": 1200, "cache_creation_tokens": 100, "cost_usd": 0.01, "response.model_output": "Ja.", "stop_reason": "end_turn"}),
            ("claude_code.tool", {"span.type": "tool", "tool_name": "Bash", "full_command": "curl wttr.in/Zürich"}),
            ("claude_code.tool.execution", {"span.type": "tool.execution"}),
        ],
    ),
    "codex": (
        "codex_core",
        [
            ("handle_responses", {"model": "codex-small", "conversation.id": "session-1", "gen_ai.usage.input_tokens": 50, "gen_ai.usage.output_tokens": 9, "codex.usage.reasoning_output_tokens": 4, "codex.usage.cached_input_tokens": 20}),
            ("codex.tool_result", {"codex.kind": "tool", "tool_name": "shell", "call_id": "call_9", "arguments": '{"command":["ls"]}', "output": "README"}),
            ("run_turn", {"codex.turn": 1}),
        ],
    ),
    "mlflow": (
        "mlflow",
        [
            ("ChatModel", {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.llm.model": '"small"', "mlflow.llm.provider": '"openai"', "mlflow.chat.tokenUsage": as_json({"input_tokens": 10, "output_tokens": 3, "total_tokens": 13}), "mlflow.llm.cost": as_json({"total_cost": 0.02}), "mlflow.spanInputs": as_json({"messages": [ASKED], "model": "small"}), "mlflow.spanOutputs": as_json({"choices": [{"message": {"role": "assistant", "content": "Ja."}, "finish_reason": "stop"}]}), "mlflow.chat.tools": as_json([TOOL])}),
            ("get_weather", {"mlflow.spanType": '"TOOL"', "mlflow.spanFunctionName": '"get_weather"', "mlflow.spanInputs": WEATHER_JSON, "mlflow.spanOutputs": '"Regen"'}),
            ("search", {"mlflow.spanType": '"RETRIEVER"', "mlflow.spanOutputs": as_json([{"page_content": "Regen", "id": "d1"}])}),
        ],
    ),
    "genkit": (
        "genkit-tracer",
        [
            ("small", {"genkit:metadata:subtype": "model", "genkit:name": "googleai/small", "genkit:input": as_json({"messages": [{"role": "user", "content": [{"text": "Regnet es?"}]}]}), "genkit:output": as_json({"message": {"role": "model", "content": [{"text": "Ja."}]}, "finishReason": "stop", "usage": {"inputTokens": 5, "outputTokens": 1}})}),
            ("get_weather", {"genkit:metadata:subtype": "tool", "genkit:name": "get_weather", "genkit:input": WEATHER_JSON, "genkit:output": '"Regen"'}),
        ],
    ),
    "platforms": (
        "livekit-agents",
        [
            ("agent_turn", {"lk.agent_name": "forecaster"}),
            ("llm_node", {"lk.chat_ctx": as_json({"items": [ASKED]}), "lk.response.text": "Ja."}),
            ("function_tool", {"lk.function_tool.name": "get_weather", "lk.function_tool.arguments": WEATHER_JSON, "lk.function_tool.output": "kaputt", "lk.function_tool.is_error": True}),
            ("step", {"braintrust.span_attributes": as_json({"type": "llm"}), "braintrust.metadata": as_json({"model": "small"}), "braintrust.metrics": as_json({"prompt_tokens": 4, "completion_tokens": 2}), "braintrust.input_json": as_json([ASKED])}),
            ("flue", {"flue.tool.name": "get_weather", "flue.tool.arguments": WEATHER_JSON, "flue.tool.result": "Regen"}),
            ("tools/call get_weather", {"mcp.method.name": "tools/call", "mcp.session.id": "session-1"}),
            ("GET /orders", {"http.response.status_code": 502, "user.id": "user-1"}),
        ],
    ),
}  # fmt: skip

MESSAGE_EVENTS = [
    ("gen_ai.system.message", {"content": "Be brief."}),
    ("gen_ai.user.message", {"content": '[{"text": "Regnet es?"}]'}),
    ("gen_ai.assistant.message", {"content": '[{"toolUse": {"toolUseId": "call_9", "name": "get_weather", "input": {"city": "Zürich"}}}]'}),
    ("gen_ai.tool.message", {"id": "call_9", "content": '[{"toolResult": {"toolUseId": "call_9", "content": [{"text": "Regen"}]}}]'}),
    ("gen_ai.choice", {"message": '[{"text": "Ja."}]', "finish_reason": "end_turn"}),
]  # fmt: skip


def dialect(name: str) -> ExportTraceServiceRequest:
    """The request of one dialect; its first span is the root."""
    scope, spans = DIALECTS[name]
    return request(scope, *(span(number, *fields) for number, fields in enumerate(spans, start=1)))


def message_events() -> ExportTraceServiceRequest:
    """Messages in span events, as Strands and older GenAI instrumentations send them."""
    chat = {
        "gen_ai.system": "strands-agents",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "small",
        "gen_ai.usage.prompt_tokens": 30,
        "gen_ai.usage.completion_tokens": 2,
        "gen_ai.usage.input_tokens": 30,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.usage.cache_read_input_tokens": 10,
    }
    tool = {
        "gen_ai.system": "strands-agents",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "get_weather",
        "gen_ai.tool.status": "error",
    }
    tool_events = [
        ("gen_ai.tool.message", {"role": "tool", "content": WEATHER_JSON, "id": "call_9"}),
        ("gen_ai.choice", {"message": '[{"text": "kaputt"}]', "id": "call_9"}),
    ]
    details = {
        "gen_ai.input.messages": as_json([{"role": "user", "parts": [{"type": "text", "content": "Regnet es?"}]}]),
        "gen_ai.output.messages": as_json([{"role": "assistant", "parts": [{"type": "text", "content": "Ja."}]}]),
    }  # fmt: skip
    score = {"gen_ai.evaluation.name": "relevance", "gen_ai.evaluation.score.value": 0.5}
    return request(
        "strands.telemetry.tracer",
        span(1, "invoke_agent forecaster", {"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 30}),
        span(2, "chat", chat, events=_events(MESSAGE_EVENTS)),
        span(3, "execute_tool get_weather", tool, events=_events(tool_events)),
        span(4, "execute_event_loop_cycle", {"event_loop.cycle_id": "1"}),
        span(
            5,
            "chat small",
            {"gen_ai.operation.name": "chat"},
            events=_events(
                [
                    ("gen_ai.client.inference.operation.details", details),
                    ("gen_ai.evaluation.result", score),
                ]
            ),
        ),
        span(
            6,
            "chat old",
            {"gen_ai.operation.name": "chat"},
            events=_events(
                [
                    ("gen_ai.content.prompt", {"gen_ai.prompt": "Regnet es?"}),
                    ("gen_ai.content.completion", {"gen_ai.completion": "Ja."}),
                ]
            ),
        ),
    )  # fmt: skip


def _events(events: list[tuple[str, dict[str, Any]]]) -> list[Span.Event]:
    return [Span.Event(name=name, attributes=attributes(values)) for name, values in events]
