"""
What producers write on one span, and what has to be known of it then.

A case is a producer's spelling (attributes, and where they matter name, scope and events)
and the canonical fields that must come out: those of every line by their last part, all
others by their key. Fields that are not named are not looked at.
"""

from typing import Any, Final, NamedTuple

from tests.unit.proto.semconv.golden_requests import as_json

ASKED: Final = "llm.input_messages.{}.message.{}"
SAID: Final = "llm.output_messages.{}.message.{}"
CALL: Final = "llm.output_messages.0.message.tool_calls.0.tool_call.{}"
SCHEMA: Final = "llm.tools.0.tool.json_schema"
Events = tuple[tuple[str, dict[str, Any]], ...]


class Case(NamedTuple):
    """One span and what it means."""

    attributes: dict[str, Any]
    expected: dict[str, Any]
    name: str = "s"
    scope: str = ""
    events: Events = ()


TURN: Final = {ASKED.format(0, "content"): "Hi", SAID.format(0, "content"): "Yes"}
"""What is known of a call that was asked `Hi` and said `Yes`."""

TOKENS: Final = {"input_tokens": 12, "output_tokens": 5}
CACHED: Final = TOKENS | {"cached_input_tokens": 4}
LLM: Final = {"kind": "LLM", "model_name": "m"}
GA: Final = {"gen_ai.operation.name": "chat", "gen_ai.response.model": "m"}
GA_USAGE: Final = {"gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 5}
PARTS_IN: Final = [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]
PARTS_OUT: Final = [
    {"role": "assistant", "finish_reason": "stop", "parts": [{"type": "text", "content": "Yes"}]}
]
CHAT_IN: Final = [{"role": "user", "content": "Hi"}]
CHAT_OUT: Final = [{"role": "assistant", "content": "Yes"}]
TOOL_DEFINITION: Final = {"name": "f", "parameters": {"type": "object"}}
THOUGHT: Final = {SAID.format(0, "contents.0.message_content.type"): "reasoning", SAID.format(0, "contents.0.message_content.text"): "Hm", SAID.format(0, "contents.1.message_content.text"): "Yes", SAID.format(0, "contents.2.message_content.text"): None}  # fmt: skip
STOP: Final = {"gen_ai.response.finish_reasons": ["stop"]}
TOOL: Final = {
    "kind": "TOOL",
    "tool.name": "f",
    "tool.parameters": '{"a":1}',
    "input.value": '{"a":1}',
    "output.value": "42",
}
IDENTITY: Final = {"session_id": "c", "user_id": "u"}

CASES: Final[dict[str, Case]] = {
    "halo": Case(
        {"inference.observation_kind": "LLM", "inference.llm.model_name": "m", "inference.llm.input_tokens": "12", "inference.llm.output_tokens": 5.0, "inference.llm.cost.total": 0.5, "inference.session_id": "c", "inference.user_id": "u", "inference.agent_name": "a", "inference.agent_id": "i"},
        LLM | TOKENS | IDENTITY | {"cost.total": 0.5, "agent_name": "a", "agent_id": "i"},
    ),
    "halo, the app's key": Case({"inference.observation.kind": "tool"}, {"kind": "TOOL"}),
    "openinference, a call": Case(
        {"openinference.span.kind": "LLM", "llm.model_name": "m", "llm.system": "s", "llm.provider": "p", "llm.token_count.prompt": 12, "llm.token_count.completion": 5, "llm.token_count.prompt_details.cache_read": 4, "llm.token_count.completion_details.reasoning": 2, "llm.cost.prompt": 0.25, "llm.cost.completion": 0.5, "llm.invocation_parameters": as_json({"tools": [TOOL_DEFINITION]}), "session.id": "c", "user.id": "u", "output.value": as_json({"choices": [{"finish_reason": "stop"}]})},
        LLM | CACHED | IDENTITY | STOP | {"provider": "p", "reasoning_output_tokens": 2, "cost.total": 0.75, SCHEMA: '{"name":"f","parameters":{"type":"object"}}'},
    ),
    "openinference, completions": Case(
        {"openinference.span.kind": "LLM", "llm.request.model_name": "m", "llm.prompts.0.prompt.text": "Hi", "llm.choices.0.completion.text": "Yes", "llm.finish_reason": "stop"},
        LLM | TURN | STOP,
    ),
    "openinference, a session in the metadata": Case(
        {"openinference.span.kind": "CHAIN", "metadata": as_json({"thread_id": "c", "user_id": "u"})}, {"kind": "CHAIN"} | IDENTITY
    ),
    "openinference, a tool": Case(
        {"openinference.span.kind": "TOOL", "tool.name": "f", "tool.id": "1"}, {"kind": "TOOL", "gen_ai.tool.call.id": "1"}
    ),
    "openinference, a graph node": Case(
        {"openinference.span.kind": "AGENT", "graph.node.id": "researcher"}, {"kind": "AGENT", "agent_name": "researcher"}
    ),
    "openinference, an embedding": Case(
        {"openinference.span.kind": "EMBEDDING", "embedding.model_name": "m", "llm.token_count.prompt": 12}, {"kind": "EMBEDDING", "model_name": "m", "input_tokens": 12}
    ),
    "openinference, a reranker": Case({"reranker.model_name": "m"}, {"kind": "RERANKER", "model_name": "m"}),
    "openinference, an evaluator": Case(
        {"openinference.span.kind": "EVALUATOR", "eval.name": "truth", "eval.score": 0.5, "eval.label": "half", "eval.explanation": "why"},
        {"kind": "EVALUATOR", "gen_ai.evaluation.name": "truth", "gen_ai.evaluation.score.value": 0.5, "gen_ai.evaluation.score.label": "half", "gen_ai.evaluation.explanation": "why"},
    ),
    "openinference, all in one attribute": Case(
        {"openinference.span.kind": "LLM", "llm.input_messages": as_json(CHAT_IN), "llm.output_messages": "Yes", "llm.tools": as_json([TOOL_DEFINITION])}, TURN | {SCHEMA: '{"name":"f","parameters":{"type":"object"}}'}
    ),
    "openinference, the answer kept whole": Case(
        {"openinference.span.kind": "LLM", "output.value": as_json({"model": "m", "usage": {"prompt_tokens": 12, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}})}, LLM | CACHED
    ),
    "openinference, anthropic's answer kept whole": Case(
        {"openinference.span.kind": "LLM", "output.value": as_json({"model": "m", "usage": {"input_tokens": 6, "output_tokens": 5, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 2}})}, LLM | CACHED
    ),
    "openinference, the model among the parameters": Case({"openinference.span.kind": "LLM", "llm.invocation_parameters": as_json({"model": "m"})}, LLM),
    "no model in metadata, no model call": Case({"braintrust.metadata": "{}", "output.value": as_json({"model": "m"})}, {"kind": "SPAN"}),
    "openinference, unknown": Case({"openinference.span.kind": "UNKNOWN", "llm.model_name": "m"}, {"kind": "SPAN"}),
    "genai 1.38, JSON": Case(
        GA | GA_USAGE | {"gen_ai.provider.name": "p", "gen_ai.request.model": "r", "gen_ai.usage.cache_read.input_tokens": 4, "gen_ai.usage.reasoning.output_tokens": 2, "gen_ai.usage.cost": 0.5, "gen_ai.conversation.id": "c", "enduser.id": "u", "gen_ai.agent.name": "a", "gen_ai.agent.id": "i", "gen_ai.input.messages": as_json(PARTS_IN), "gen_ai.output.messages": as_json(PARTS_OUT), "gen_ai.tool.definitions": as_json([TOOL_DEFINITION])},
        LLM | CACHED | TURN | IDENTITY | STOP | {"provider": "p", "reasoning_output_tokens": 2, "cost.total": 0.5, "agent_name": "a", "agent_id": "i", SCHEMA: '{"name":"f","parameters":{"type":"object"}}'},
    ),
    "genai 1.38, structured": Case(
        GA | {"gen_ai.input.messages": PARTS_IN, "gen_ai.output.messages": PARTS_OUT, "gen_ai.system_instructions": [{"type": "text", "content": "Be brief."}]},
        LLM | {ASKED.format(0, "role"): "system", ASKED.format(0, "content"): "Be brief.", ASKED.format(1, "content"): "Hi", SAID.format(0, "content"): "Yes"},
    ),
    "genai 1.38, a tool call and its answer": Case(
        GA | {"gen_ai.input.messages": as_json([{"role": "tool", "parts": [{"type": "tool_call_response", "id": "1", "response": {"t": 7}}]}]), "gen_ai.output.messages": as_json([{"role": "assistant", "parts": [{"type": "tool_call", "id": "1", "name": "f", "arguments": {"a": 1}}]}])},
        {ASKED.format(0, "role"): "tool", ASKED.format(0, "content"): '{"t":7}', ASKED.format(0, "tool_call_id"): "1", CALL.format("id"): "1", CALL.format("function.name"): "f", CALL.format("function.arguments"): '{"a":1}'},
    ),
    "genai 1.38, one event with all": Case(
        GA, LLM | TURN, events=(("gen_ai.client.inference.operation.details", {"gen_ai.input.messages": PARTS_IN, "gen_ai.output.messages": as_json(PARTS_OUT)}),)
    ),
    "genai 1.39, cache writes": Case(
        GA | {"gen_ai.usage.input_tokens": 2, "gen_ai.usage.output_tokens": 5, "gen_ai.usage.cache_write.input_tokens": 6, "gen_ai.usage.cache_read.input_tokens": 4}, LLM | CACHED
    ),
    "genai, a tool": Case(
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "f", "gen_ai.tool.call.id": "1", "gen_ai.tool.call.arguments": {"a": 1}, "gen_ai.tool.call.result": "42"}, TOOL
    ),
    "genai, an agent states totals": Case(
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "a"} | GA_USAGE, {"kind": "AGENT", "agent_name": "a", "input_tokens": None, "halo.aggregate.input_tokens": 12, "halo.aggregate.output_tokens": 5}
    ),
    "genai, retrieval": Case(
        {"gen_ai.operation.name": "retrieval", "gen_ai.retrieval.query.text": "q", "gen_ai.retrieval.documents": as_json([{"id": "d", "score": 0.5}])},
        {"kind": "RETRIEVER", "input.value": "q", "retrieval.documents.0.document.id": "d", "retrieval.documents.0.document.score": 0.5},
    ),
    "genai, memory": Case({"gen_ai.operation.name": "search_memory", "gen_ai.memory.query.text": "q"}, {"kind": "CHAIN", "input.value": "q"}),
    "genai, a guardrail": Case({"gen_ai.operation.name": "guardrail_check", "gen_ai.guardrail.name": "g"}, {"kind": "GUARDRAIL"}),
    "genai, a handoff": Case({"gen_ai.operation.name": "agent_handoff", "gen_ai.agent.name": "a"}, {"kind": "CHAIN"}),
    "genai, a workflow": Case({"gen_ai.operation.name": "invoke_workflow"}, {"kind": "CHAIN"}),
    "genai, an evaluation event": Case(
        GA, {"gen_ai.evaluation.name": "truth", "gen_ai.evaluation.score.value": 0.5}, events=(("gen_ai.evaluation.result", {"gen_ai.evaluation.name": "truth", "gen_ai.evaluation.score.value": 0.5}),)
    ),
    "genai 1.27": Case(
        {"gen_ai.operation.name": "chat", "gen_ai.system": "p", "gen_ai.request.model": "m", "gen_ai.usage.prompt_tokens": 12, "gen_ai.usage.completion_tokens": 5},
        LLM | TOKENS | TURN | {"provider": "p"},
        events=(("gen_ai.content.prompt", {"gen_ai.prompt": as_json(CHAT_IN)}), ("gen_ai.content.completion", {"gen_ai.completion": as_json(CHAT_OUT)})),
    ),
    "genai 1.28 to 1.36": Case(
        {"gen_ai.operation.name": "chat", "gen_ai.system": "p", "gen_ai.request.model": "m"} | GA_USAGE,
        LLM | TOKENS | TURN | STOP,
        events=(("gen_ai.user.message", {"content": "Hi"}), ("gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": as_json({"role": "assistant", "content": "Yes"})})),
    ),
    "genai, the events of azure": Case(
        {"gen_ai.system": "az.ai.inference", "gen_ai.request.model": "m"},
        LLM | TURN | STOP | {"provider": "az.ai.inference"},
        events=(("gen_ai.user.message", {"gen_ai.event.content": as_json(CHAT_IN[0])}), ("gen_ai.choice", {"gen_ai.event.content": as_json({"message": CHAT_OUT[0], "finish_reason": "stop"})})),
    ),
    "openllmetry, a call": Case(
        {"llm.request.type": "chat", "gen_ai.system": "p", "gen_ai.response.model": "m", "gen_ai.usage.prompt_tokens": 12, "gen_ai.usage.completion_tokens": 5, "gen_ai.usage.cache_read_input_tokens": 4, "llm.usage.reasoning_tokens": 2, "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "Hi", "gen_ai.completion.0.content": "Yes", "gen_ai.completion.0.finish_reason": "stop", "llm.request.functions.0.name": "f", "llm.request.functions.0.parameters": '{"type":"object"}', "traceloop.association.properties.session_id": "c", "traceloop.association.properties.user_id": "u"},
        LLM | CACHED | TURN | STOP | IDENTITY | {"reasoning_output_tokens": 2, SCHEMA: '{"name":"f","parameters":{"type":"object"}}'},
    ),
    "openllmetry, a tool": Case(
        {"traceloop.span.kind": "tool", "traceloop.entity.name": "f", "traceloop.entity.input": '{"a":1}', "traceloop.entity.output": "42"}, TOOL
    ),
    "openllmetry, an agent": Case({"traceloop.span.kind": "agent", "traceloop.entity.name": "a"}, {"kind": "AGENT", "agent_name": "a"}),
    "openllmetry, a workflow": Case({"traceloop.span.kind": "workflow", "traceloop.entity.input": "Hi"}, {"kind": "CHAIN", "input.value": "Hi"}),
    "openllmetry, cohere's reranker": Case({"llm.request.type": "rerank", "gen_ai.request.model": "m"}, {"kind": "RERANKER", "model_name": "m"}),
    "openllmetry, an embedding": Case({"llm.request.type": "embedding", "gen_ai.request.model": "m", "gen_ai.usage.prompt_tokens": 12}, {"kind": "EMBEDDING", "input_tokens": 12}),
    "openllmetry, a vector store": Case(
        {"db.system": "chroma", "db.operation": "query"},
        {"kind": "RETRIEVER", "retrieval.documents.0.document.id": "d", "retrieval.documents.0.document.content": "text", "retrieval.documents.1.document.score": 0.5},
        events=(("db.query.result", {"db.query.result.id": "d", "db.query.result.document": "text"}), ("db.query.result", {"db.query.result.id": "e", "db.query.result.distance": 0.5})),
    ),
    "vercel, a call": Case(
        {"ai.operationId": "ai.streamText.doStream", "ai.model.id": "r", "ai.response.model": "m", "ai.model.provider": "openai.chat", "gen_ai.system": "openai.chat", "ai.usage.promptTokens": 12, "ai.usage.completionTokens": 5, "ai.usage.cachedInputTokens": 4, "ai.usage.reasoningTokens": 2, "ai.prompt.messages": as_json(CHAT_IN), "ai.response.text": "Yes", "ai.response.finishReason": "stop", "ai.prompt.tools": [as_json(TOOL_DEFINITION)], "ai.telemetry.metadata.sessionId": "c", "ai.telemetry.metadata.userId": "u"},
        LLM | CACHED | TURN | STOP | IDENTITY | {"provider": "openai", "reasoning_output_tokens": 2, "gen_ai.request.model": "r", SCHEMA: '{"name": "f", "parameters": {"type": "object"}}'},
    ),
    "vercel, an outer span": Case({"ai.operationId": "ai.generateText", "ai.usage.inputTokens": 12, "ai.model.id": "m"}, {"kind": "CHAIN", "input_tokens": None, "halo.aggregate.input_tokens": 12}),
    "vercel, a tool": Case({"ai.operationId": "ai.toolCall", "ai.toolCall.name": "f", "ai.toolCall.id": "1", "ai.toolCall.args": '{"a":1}', "ai.toolCall.result": "42"}, TOOL),
    "vercel, an embedding": Case({"operation.name": "ai.embed.doEmbed docs", "ai.model.id": "m", "ai.usage.tokens": 12, "ai.value": "Hi"}, {"kind": "EMBEDDING", "model_name": "m", "input_tokens": 12}),
    "langfuse, a generation": Case(
        {"langfuse.observation.type": "generation", "langfuse.observation.model.name": "m", "langfuse.observation.usage_details": as_json({"input": 8, "output": 5, "input_cached_tokens": 4, "output_reasoning_tokens": 2, "total": 17}), "langfuse.observation.cost_details": as_json({"total": 0.5}), "langfuse.observation.input": as_json(CHAT_IN), "langfuse.observation.output": as_json(CHAT_OUT[0]), "langfuse.session.id": "c", "langfuse.user.id": "u"},
        LLM | CACHED | TURN | IDENTITY | {"reasoning_output_tokens": 2, "cost.total": 0.5},
    ),
    "langfuse, a request with tools": Case({"langfuse.observation.type": "generation", "langfuse.observation.input": as_json({"messages": CHAT_IN, "tools": [{"type": "function", "function": TOOL_DEFINITION}]})}, {"kind": "LLM", ASKED.format(0, "content"): "Hi", SCHEMA: '{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}'}),
    "langfuse, python up to 3.3.0": Case({"langfuse.observation.type": "span", "langfuse.observation.model.name": "m"}, LLM),
    "langfuse, an agent": Case({"langfuse.observation.type": "agent"}, {"kind": "AGENT", "agent_name": "triage"}, name="triage"),
    "langfuse, a failed tool": Case({"langfuse.observation.type": "tool", "langfuse.observation.input": '{"a":1}', "langfuse.observation.level": "ERROR"}, {"kind": "TOOL", "tool.name": "f", "tool.parameters": '{"a":1}', "halo.derived.error": True}, name="f"),
    "langsmith, a call": Case(
        {"langsmith.span.kind": "llm", "gen_ai.operation.name": "chat", "gen_ai.system": "p", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 5, "gen_ai.usage.input_token_details": as_json({"cache_read": 4}), "gen_ai.usage.output_token_details": as_json({"reasoning": 2}), "gen_ai.prompt": as_json({"messages": [[{"lc": 1, "type": "constructor", "id": ["HumanMessage"], "kwargs": {"type": "human", "content": "Hi"}}]]}), "gen_ai.completion": as_json({"generations": [[{"text": "Yes", "message": {"kwargs": {"type": "ai", "content": "Yes"}}}]]}), "langsmith.metadata.thread_id": "c", "langsmith.metadata.user_id": "u", "langsmith.trace.session_id": "project"},
        LLM | CACHED | TURN | IDENTITY | {"reasoning_output_tokens": 2, ASKED.format(0, "role"): "user"},
    ),
    "langsmith, messages of LangChain.js, which name their class alone": Case(
        {"langsmith.span.kind": "llm", "gen_ai.prompt": as_json({"messages": [[{"lc": 1, "id": ["langchain_core", "messages", "SystemMessage"], "kwargs": {"content": "Be brief"}}, {"lc": 1, "id": ["langchain_core", "messages", "HumanMessageChunk"], "kwargs": {"content": "Hi"}}, {"lc": 1, "id": [], "kwargs": {"content": "?"}}]]}), "gen_ai.completion": as_json({"generations": [[{"text": "Yes", "message": {"lc": 1, "id": ["langchain_core", "messages", "AIMessageChunk"], "kwargs": {"content": "Yes"}}}]]})},
        {"kind": "LLM", ASKED.format(0, "role"): "system", ASKED.format(1, "role"): "user", ASKED.format(1, "content"): "Hi", ASKED.format(2, "role"): "user", SAID.format(0, "role"): "assistant", SAID.format(0, "content"): "Yes"},
    ),
    "langsmith, why an answer ended": Case({"langsmith.span.kind": "llm", "gen_ai.completion": as_json({"generations": [[{"text": "Yes", "generation_info": {"finish_reason": "stop"}}]]})}, {"kind": "LLM"} | STOP),
    "langsmith, why an answer ended, in its message": Case({"langsmith.span.kind": "llm", "gen_ai.completion": as_json({"generations": [[{"text": "Yes", "message": {"kwargs": {"content": "Yes", "response_metadata": {"finish_reason": "stop"}}}}]]})}, {"kind": "LLM"} | STOP),
    "openai's responses, why an answer ended": Case({"openinference.span.kind": "LLM", "output.value": as_json({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}})}, {"kind": "LLM", "gen_ai.response.finish_reasons": ["max_output_tokens"]}),
    "langsmith, a retriever that is called an embedding": Case({"langsmith.span.kind": "retriever", "gen_ai.operation.name": "embeddings"}, {"kind": "RETRIEVER"}),
    "langsmith, a prompt that is called a chat": Case({"langsmith.span.kind": "prompt", "gen_ai.operation.name": "chat"}, {"kind": "PROMPT"}),
    "langsmith, a parser": Case({"langsmith.span.kind": "parser", "gen_ai.operation.name": "parser"}, {"kind": "CHAIN"}),
    "langsmith, a tool": Case({"langsmith.span.kind": "tool", "langsmith.trace.name": "f", "gen_ai.prompt": '{"a":1}', "gen_ai.completion": "42"}, TOOL),
    "pydantic-ai 2, an agent": Case({"agent_name": "a", "model_name": "m", "final_result": "Yes", "gen_ai.usage.input_tokens": 12, "logfire.msg": "a run"}, {"kind": "AGENT", "agent_name": "a", "output.value": "Yes", "halo.aggregate.input_tokens": 12}, name="agent run", scope="pydantic-ai"),
    "pydantic-ai 2, a tool": Case({"gen_ai.tool.name": "f", "tool_arguments": '{"a":1}', "tool_response": "42"}, TOOL, name="running tool", scope="pydantic-ai"),
    "pydantic-ai 1, a call": Case(
        {"gen_ai.operation.name": "chat", "gen_ai.response.model": "m", "operation.cost": 0.5, "gen_ai.usage.details.cache_read_tokens": 4, "events": as_json([{"event.name": "gen_ai.user.message", "content": "Hi"}, {"event.name": "gen_ai.choice", "message": CHAT_OUT[0]}])} | GA_USAGE,
        LLM | CACHED | TURN | {"cost.total": 0.5},
    ),
    "pydantic-ai 1, an agent": Case({"all_messages_events": as_json([{"event.name": "gen_ai.user.message", "content": "Hi"}, {"event.name": "gen_ai.assistant.message", "content": "Yes"}])}, {"kind": "AGENT", ASKED.format(0, "content"): "Hi", ASKED.format(1, "content"): "Yes"}, name="agent run", scope="pydantic-ai"),
    "logfire, an answer of the Responses API": Case(
        {"gen_ai.request.model": "m", "events": as_json([{"event.name": "gen_ai.user.message", "content": "Hi"}, {"event.name": "gen_ai.assistant.message", "content": "Before"}, {"event.name": "gen_ai.tool.message", "id": "c", "content": "42"}, {"event.name": "gen_ai.assistant.message", "content": "Yes"}]), "logfire.msg": "Chat"},
        {"kind": "LLM", "model_name": "m", ASKED.format(1, "content"): "Before", ASKED.format(2, "content"): "42"} | TURN,
    ),
    "logfire, a call of the Responses API without an answer": Case(
        {"gen_ai.request.model": "m", "events": as_json([{"event.name": "gen_ai.assistant.message", "content": "Before"}, {"event.name": "gen_ai.user.message", "content": "Hi"}]), "logfire.msg": "Chat"},
        {"kind": "LLM", "model_name": "m", ASKED.format(0, "content"): "Before", ASKED.format(1, "content"): "Hi"},
    ),
    "pydantic-ai 6, an agent": Case({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "a", "gen_ai.aggregated_usage.input_tokens": 12, "pydantic_ai.all_messages": as_json(PARTS_IN)}, {"kind": "AGENT", "halo.aggregate.input_tokens": 12, ASKED.format(0, "content"): "Hi"}),
    "logfire, an instrumented client": Case(
        {"request_data": as_json({"model": "m", "messages": CHAT_IN}), "response_data": as_json({"message": CHAT_OUT[0], "usage": {"prompt_tokens": 12, "completion_tokens": 5}}), "gen_ai.request.model": "m", "logfire.msg": "Chat"},
        LLM | TOKENS | TURN,
    ),
    "smolagents": Case({"smolagents.max_steps": 3, "llm.token_count.prompt": 12, "openinference.span.kind": "AGENT"}, {"kind": "AGENT", "input_tokens": None, "halo.aggregate.input_tokens": 12}, name="CodeAgent.run"),
    "smolagents, the agent's name": Case({"openinference.span.kind": "AGENT"}, {"kind": "AGENT", "agent_name": "search_agent"}, name="search_agent.run", scope="openinference.instrumentation.smolagents"),
    "agno": Case({"openinference.span.kind": "AGENT"}, {"kind": "AGENT", "agent_name": "Finance"}, name="Finance.run", scope="openinference.instrumentation.agno"),
    "beeai, a tool": Case({"openinference.span.kind": "TOOL", "target": "tool.search.wikipedia.start"}, {"kind": "TOOL", "tool.name": "wikipedia"}, scope="openinference.instrumentation.beeai"),
    "crewai, openinference": Case({"openinference.span.kind": "AGENT", "graph.node.id": "Researcher", "crew_key": "k", "kickoff_id": "c"}, {"kind": "AGENT", "agent_name": "Researcher", "session_id": "c"}),
    "crewai, its own": Case({"gen_ai.operation.name": "execute_task", "crewai.agent.role": "Researcher"}, {"kind": "CHAIN", "agent_name": "Researcher"}, name="execute task", scope="crewai.telemetry"),
    "crewai, a guardrail": Case({"crewai.guardrail.type": "llm"}, {"kind": "GUARDRAIL"}, name="evaluate guardrail", scope="crewai.telemetry"),
    "autogen, an agent": Case({"gen_ai.system": "autogen", "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "a", "gen_ai.agent.id": "i"}, {"kind": "AGENT", "agent_name": "a", "agent_id": "i"}),
    "autogen, a message": Case({"messaging.operation": "process"}, {"kind": "CHAIN"}, name="autogen process a.(default)-A", scope="autogen SingleThreadedAgentRuntime"),
    "adk, a call": Case(
        {"gen_ai.system": "gcp.vertex.agent", "gen_ai.request.model": "m", "gcp.vertex.agent.session_id": "c", "gcp.vertex.agent.tool_call_args": "N/A", "gcp.vertex.agent.llm_request": as_json({"model": "m", "config": {"system_instruction": "Be brief.", "tools": [{"function_declarations": [TOOL_DEFINITION]}]}, "contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}), "gcp.vertex.agent.llm_response": as_json({"content": {"role": "model", "parts": [{"text": "Yes"}]}, "finish_reason": "STOP", "usage_metadata": {"prompt_token_count": 12, "candidates_token_count": 5, "cached_content_token_count": 4, "thoughts_token_count": 2}})},
        LLM | CACHED | {"provider": "google", "session_id": "c", "reasoning_output_tokens": 2, ASKED.format(0, "content"): "Be brief.", ASKED.format(1, "content"): "Hi", SAID.format(0, "content"): "Yes", SCHEMA: '{"name":"f","parameters":{"type":"object"}}', "gen_ai.response.finish_reasons": ["STOP"]},
        name="call_llm", scope="gcp.vertex.agent",
    ),
    "adk, a tool": Case({"gen_ai.tool.name": "f", "gcp.vertex.agent.tool_call_args": '{"a":1}', "gcp.vertex.agent.tool_response": "42", "gcp.vertex.agent.llm_request": "{}", "gcp.vertex.agent.llm_response": "{}"}, TOOL, name="execute_tool f", scope="gcp.vertex.agent"),
    "adk, a merged tool": Case({"gcp.vertex.agent.tool_call_args": "N/A"}, {"kind": "TOOL"}, name="execute_tool (merged tools)", scope="gcp.vertex.agent"),
    "adk, an invocation": Case({}, {"kind": "AGENT"}, name="invocation", scope="gcp.vertex.agent"),
    "adk, an agent": Case({}, {"kind": "AGENT", "agent_name": "triage"}, name="agent_run [triage]", scope="gcp.vertex.agent"),
    "strands, a call": Case(
        {"gen_ai.system": "strands-agents", "gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.prompt_tokens": 12, "gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 5, "gen_ai.usage.cache_read_input_tokens": 4},
        LLM | CACHED | TURN | {"gen_ai.response.finish_reasons": ["end_turn"]},
        events=(("gen_ai.user.message", {"content": as_json([{"text": "Hi"}])}), ("gen_ai.choice", {"finish_reason": "end_turn", "message": as_json([{"text": "Yes"}])})),
    ),
    "strands, a failed tool": Case({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "f", "gen_ai.tool.status": "error"}, {"kind": "TOOL", "halo.derived.error": True}),
    "strands, a cycle": Case({"gen_ai.operation.name": "execute_event_loop_cycle"}, {"kind": "CHAIN"}),
    "claude code, a call": Case(
        {"span.type": "llm_request", "model": "m", "input_tokens": 8, "output_tokens": 5, "cache_read_tokens": 4, "cache_creation_tokens": 0, "cost_usd": 0.5, "new_context": "Hi", "response.model_output": "Yes", "session.id": "c", "user.account_uuid": "u", "stop_reason": "stop"},
        LLM | CACHED | TURN | IDENTITY | STOP | {"provider": "anthropic", "cost.total": 0.5},
        name="claude_code.llm_request", scope="com.anthropic.claude_code.tracing",
    ),
    "claude code, a tool": Case({"span.type": "tool", "tool_name": "f", "tool_input": '{"a":1}'}, TOOL, name="claude_code.tool", events=(("tool.output", {"output": "42"}),)),
    "claude code, a failed tool": Case({"span.type": "tool", "tool_name": "Bash", "full_command": "ls", "success": "false"}, {"kind": "TOOL", "tool.name": "Bash", "tool.parameters": "ls", "halo.derived.error": True}),
    "claude code, an interaction": Case({"span.type": "interaction", "user_prompt": "<REDACTED>"}, {"kind": "AGENT", "input.value": None}, name="claude_code.interaction"),
    "claude code, the call's id": Case({"span.type": "tool", "tool_name": "Bash", "tool_use_id": "toolu_1"}, {"kind": "TOOL", "tool.name": "Bash", "gen_ai.tool.call.id": "toolu_1"}),
    "claude code, a hook": Case({"span.type": "hook"}, {"kind": "CHAIN"}, name="claude_code.hook"),
    "claude api, a call": Case({"gen_ai.request.model": "m", "anthropic.usage.input_tokens": 8, "anthropic.usage.output_tokens": 5, "anthropic.usage.cache_read_input_tokens": 4}, LLM | CACHED, name="anthropic.messages.create"),
    "claude api, a tool": Case({}, {"kind": "TOOL", "tool.name": "f"}, name="anthropic.tool_use f"),
    "codex, a call": Case({"model": "m", "gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 5, "codex.usage.cached_input_tokens": 4, "codex.usage.reasoning_output_tokens": 2, "conversation.id": "c", "user.account_id": "u"}, LLM | CACHED | IDENTITY | {"reasoning_output_tokens": 2}, name="handle_responses", scope="codex_otel"),
    "codex, a tool": Case({"tool_name": "f", "call_id": "1", "arguments": '{"a":1}', "output": "42", "success": "false", "conversation.id": "c"}, TOOL | {"halo.derived.error": True, "gen_ai.tool.call.id": "1"}, name="codex.tool_result", scope="codex_otel"),
    "gemini cli": Case({"gen_ai.operation.name": "llm_call", "gen_ai.agent.name": "gemini-cli", "gen_ai.response.model": "m", "session.id": "c"} | GA_USAGE, LLM | TOKENS | {"agent_name": "gemini-cli", "session_id": "c"}),
    "gemini cli, an event": Case({"openinference.span.kind": "LLM", "model": "m", "input_token_count": 12, "output_token_count": 5, "cached_content_token_count": 4}, LLM | CACHED | {"provider": "google"}, scope="gemini-cli"),
    "mlflow, a call": Case(
        {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.llm.model": '"m"', "mlflow.llm.provider": '"p"', "mlflow.chat.tokenUsage": as_json({"input_tokens": 12, "output_tokens": 5, "cache_read_input_tokens": 4}), "mlflow.llm.cost": as_json({"total_cost": 0.5}), "mlflow.spanInputs": as_json({"messages": CHAT_IN}), "mlflow.spanOutputs": as_json({"choices": [{"message": CHAT_OUT[0]}]}), "mlflow.chat.tools": as_json([TOOL_DEFINITION]), "mlflow.trace.session": '"c"', "mlflow.trace.user": '"u"'},
        LLM | CACHED | TURN | IDENTITY | {"provider": "p", "cost.total": 0.5, SCHEMA: '{"name":"f","parameters":{"type":"object"}}'},
    ),
    "mlflow, a whole request and answer": Case({"mlflow.spanType": '"CHAT_MODEL"', "mlflow.spanInputs": as_json({"messages": CHAT_IN, "tools": [TOOL_DEFINITION]}), "mlflow.spanOutputs": as_json({"choices": [{"finish_reason": "stop", "message": CHAT_OUT[0]}]})}, {"kind": "LLM", SCHEMA: '{"name":"f","parameters":{"type":"object"}}'} | TURN | STOP),
    "mlflow, JSON in JSON": Case({"mlflow.spanType": '"LLM"', "mlflow.spanInputs": as_json(as_json({"messages": CHAT_IN}))}, {"kind": "LLM", ASKED.format(0, "content"): "Hi"}),
    "mlflow, a tool": Case({"mlflow.spanType": '"TOOL"', "mlflow.spanFunctionName": '"f"', "mlflow.spanInputs": '{"a":1}', "mlflow.spanOutputs": '"42"'}, TOOL),
    "mlflow, a parser": Case({"mlflow.spanType": '"PARSER"'}, {"kind": "CHAIN"}),
    "genkit, a call": Case(
        {"genkit:metadata:subtype": "model", "genkit:name": "m", "genkit:input": as_json({"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}), "genkit:output": as_json({"message": {"role": "model", "content": [{"text": "Yes"}]}, "finishReason": "stop", "usage": {"inputTokens": 12, "outputTokens": 5}})},
        LLM | TOKENS | TURN | STOP,
    ),
    "genkit, a model of a plugin": Case({"genkit:metadata:subtype": "model", "genkit:name": "googleai/gemini-2.5-flash"}, {"kind": "LLM", "model_name": "googleai/gemini-2.5-flash", "provider": "google"}),
    "genkit, an embedder of a plugin": Case({"genkit:metadata:subtype": "embedder", "genkit:name": "ollama/nomic"}, {"kind": "EMBEDDING", "model_name": "ollama/nomic", "provider": "ollama"}),
    "genkit, a tool": Case({"genkit:metadata:subtype": "tool.v2", "genkit:name": "f", "genkit:input": '{"a":1}', "genkit:output": "42", "genkit:state": "error"}, TOOL | {"halo.derived.error": True}),
    "livekit, a call": Case(
        {"lk.pii.chat_ctx": as_json({"items": [{"type": "message", "role": "user", "content": ["Hi"]}]}), "lk.pii.response.text": "Yes", "gen_ai.request.model": "m", "lk.llm_metrics": as_json({"prompt_tokens": 12, "completion_tokens": 5, "prompt_cached_tokens": 4}), "lk.room_sid": "c"},
        LLM | CACHED | TURN | {"session_id": "c"}, name="llm_node",
    ),
    "livekit, a tool": Case({"lk.function_tool.name": "f", "lk.function_tool.arguments": '{"a":1}', "lk.function_tool.output": "42", "lk.function_tool.is_error": True}, TOOL | {"halo.derived.error": True}, name="function_tool"),
    "livekit, a turn": Case({"lk.agent_label": "a"}, {"kind": "AGENT", "agent_name": "a"}, name="agent_turn", scope="livekit-agents"),
    "flue, a tool": Case({"flue.tool.name": "f", "flue.tool.arguments": '{"a":1}', "flue.tool.result": "42"}, TOOL),
    "flue, a task": Case({"flue.task.name": "t"}, {"kind": "AGENT"}),
    "braintrust, a call": Case(
        {"braintrust.span_attributes": as_json({"type": "llm"}), "braintrust.metadata": as_json({"model": "m", "provider": "p"}), "braintrust.metrics": as_json({"prompt_tokens": 12, "completion_tokens": 5, "prompt_cached_tokens": 4, "estimated_cost": 0.5}), "braintrust.input_json": as_json(CHAT_IN), "braintrust.output_json": as_json([{"message": CHAT_OUT[0]}])},
        LLM | CACHED | TURN | {"provider": "p", "cost.total": 0.5},
    ),
    "braintrust, a score": Case({"braintrust.span_type": "score", "braintrust.scores": as_json({"truth": 0.5})}, {"kind": "EVALUATOR", "gen_ai.evaluation.name": "truth", "gen_ai.evaluation.score.value": 0.5}),
    "cursor": Case({"cursor.agent_id": "i", "cursor.run_id": "c"}, {"agent_id": "i", "session_id": "c"}),
    "elevenlabs": Case({"elevenlabs.conversation_id": "c", "elevenlabs.user_id": "u"}, IDENTITY),
    "langchain native": Case({"langchain.run_type": "tool"}, {"kind": "TOOL"}),
    "haystack, a component": Case(
        {"haystack.component.type": "OpenAIChatGenerator", "haystack.component.name": "llm", "haystack.component.input": as_json({"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}), "haystack.component.output": as_json({"replies": [{"role": "assistant", "content": [{"text": "Yes"}], "meta": {"model": "m", "finish_reason": "stop", "usage": {"prompt_tokens": 12, "completion_tokens": 5}}}]})},
        LLM | TOKENS | TURN | STOP, name="haystack.component.run",
    ),
    "haystack, what was offered": Case({"haystack.component.type": "OpenAIChatGenerator", "haystack.component.input": as_json({"messages": CHAT_IN, "tools": [{"type": "haystack.tools.tool.Tool", "data": TOOL_DEFINITION}]})}, {"kind": "LLM", SCHEMA: '{"type":"haystack.tools.tool.Tool","data":{"name":"f","parameters":{"type":"object"}}}'}, name="haystack.component.run"),
    "haystack, a retriever": Case({"haystack.component.type": "InMemoryBM25Retriever", "haystack.component.output": as_json({"documents": [{"id": "d", "content": "text"}]})}, {"kind": "RETRIEVER", "retrieval.documents.0.document.content": "text"}),
    "haystack, a tool": Case({"haystack.tool.name": "f", "haystack.agent.step.tool.input": '{"a":1}', "haystack.agent.step.tool.output": "42", "haystack.tool.error": True}, TOOL | {"halo.derived.error": True}, name="haystack.agent.step.tool"),
    "spring ai, a tool": Case({"spring.ai.kind": "tool_call", "gen_ai.operation.name": "framework", "gen_ai.system": "spring_ai", "spring.ai.tool.definition.name": "f", "spring.ai.tool.call.id": "call_1", "spring.ai.tool.call.arguments": '{"a":1}', "spring.ai.tool.call.result": "42"}, TOOL | {"gen_ai.tool.call.id": "call_1"}),
    "spring ai, a client": Case({"spring.ai.kind": "chat_client", "gen_ai.operation.name": "framework", "gen_ai.system": "spring_ai", "spring.ai.chat.client.user.text": "Hi"}, {"kind": "CHAIN", "input.value": "Hi"}),
    "mastra, a generation": Case({"mastra.span.type": "model_generation", "gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.cached_input_tokens": 4, "gen_ai.input.messages": as_json(PARTS_IN), "gen_ai.output.messages": as_json(PARTS_OUT)} | GA_USAGE, LLM | CACHED | TURN),
    "mastra, a step in it": Case({"mastra.span.type": "model_step", "gen_ai.operation.name": "model_step", "mastra.model_step.input": as_json(CHAT_IN), "mastra.model_step.output": '{"text":"Yes"}'}, {"kind": "CHAIN", "input.value": as_json(CHAT_IN), "output.value": '{"text":"Yes"}'}),
    "mastra, an agent": Case({"mastra.span.type": "agent_run", "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "a", "mastra.agent_run.input": "Hi", "mastra.agent_run.output": '{"text":"Yes"}'}, {"kind": "AGENT", "agent_name": "a", "input.value": "Hi", "output.value": '{"text":"Yes"}'}),
    "mastra, a tool": Case({"mastra.span.type": "mcp_tool_call", "mastra.mcp_tool_call.toolId": "f", "gen_ai.tool.call.arguments": '{"a":1}', "gen_ai.tool.call.result": "42"}, TOOL),
    "mastra, a workflow": Case({"mastra.span.type": "workflow_run", "gen_ai.operation.name": "invoke_workflow", "mastra.workflow_run.input": "1"}, {"kind": "CHAIN", "input.value": "1"}),
    "agentscope, a function": Case({"gen_ai.operation.name": "invoke_generic_function", "agentscope.function.input": '{"a":1}', "agentscope.function.output": "42"}, {"kind": "CHAIN", "input.value": '{"a":1}', "output.value": "42"}),
    "langwatch, a call": Case({"langwatch.span.type": "llm", "gen_ai.request.model": "m", "langwatch.metrics": as_json({"type": "json", "value": {"promptTokens": 12, "completionTokens": 5, "cost": 0.5}}), "langwatch.input": as_json({"type": "chat_messages", "value": CHAT_IN}), "langwatch.output": as_json({"type": "text", "value": "Yes"}), "langwatch.thread.id": "c", "langwatch.user.id": "u"}, LLM | TOKENS | TURN | IDENTITY | {"cost.total": 0.5}),
    "langwatch, older metrics": Case({"langwatch.span.type": "llm", "gen_ai.request.model": "m", "langwatch.metrics": as_json({"prompt_tokens": 12, "completion_tokens": 5})}, LLM | TOKENS),
    "langwatch, a tool": Case({"langwatch.span.type": "tool", "langwatch.input": '{"type":"json","value":{"a":1}}', "langwatch.output": '{"type":"text","value":"42"}'}, TOOL, name="f"),
    "langwatch, a retriever": Case({"langwatch.span.type": "rag", "langwatch.contexts": as_json({"type": "json", "value": [{"document_id": "d", "content": "text"}]})}, {"kind": "RETRIEVER", "retrieval.documents.0.document.id": "d", "retrieval.documents.0.document.content": "text"}),
    "traceroot": Case({"traceroot.span.type": "llm", "traceroot.llm.model": "m", "traceroot.span.input": "Hi", "traceroot.span.output": "Yes", "traceroot.trace.session_id": "c", "traceroot.trace.user_id": "u"}, LLM | TURN | IDENTITY),
    "pipecat, a call": Case({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "metrics.ttfb": 0.5, "input": as_json(CHAT_IN), "output": "Yes", "tools": as_json([TOOL_DEFINITION]), "conversation.id": "c"} | GA_USAGE, LLM | TOKENS | TURN | {"session_id": "c", SCHEMA: '{"name":"f","parameters":{"type":"object"}}'}, name="llm"),
    "pipecat, speech": Case({"gen_ai.operation.name": "tts", "gen_ai.request.model": "m", "metrics.ttfb": 0.5, "text": "Hi"}, LLM | {ASKED.format(0, "content"): "Hi"}, name="tts"),
    "pipecat, a transcript": Case({"gen_ai.operation.name": "stt", "gen_ai.request.model": "m", "metrics.ttfb": 0.5, "transcript": "Yes"}, LLM | {SAID.format(0, "content"): "Yes"}, name="stt"),
    "pipecat, a tool": Case({"tool.function_name": "f", "tool.call_id": "call_1", "tool.arguments": '{"a":1}', "tool.result": "42", "tool.result_status": "error"}, TOOL | {"gen_ai.tool.call.id": "call_1", "halo.derived.error": True}),
    "pipecat, a turn": Case({"turn.number": 1, "turn.was_interrupted": False}, {"kind": "CHAIN"}, name="turn"),
    "vllm": Case({"gen_ai.latency.e2e": 0.5, "gen_ai.request.id": "r", "gen_ai.usage.prompt_tokens": 12, "gen_ai.usage.completion_tokens": 5}, {"kind": "LLM"} | TOKENS, name="llm_request"),
    "qwen code, an event": Case({"openinference.span.kind": "LLM", "model": "m", "input_token_count": 12, "output_token_count": 5, "cached_content_token_count": 4}, LLM | CACHED | {"provider": None}, scope="qwen-code"),
    "copilot, a turn": Case({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "a", "copilot_chat.chat_session_id": "c", "copilot_chat.user_request": "Hi"}, {"kind": "AGENT", "agent_name": "a", "session_id": "c", "input.value": "Hi"}),
    "copilot, a hook": Case({"gen_ai.operation.name": "execute_hook", "copilot_chat.hook_input": "{}"}, {"kind": "CHAIN", "input.value": "{}"}),
    "semantic kernel, its first releases": Case({"gen_ai.operation.name": "chat.completions", "gen_ai.request.model": "m", "gen_ai.response.prompt_tokens": 12, "gen_ai.response.completion_tokens": 5}, LLM | TOKENS),
    "genai, messages as flat keys": Case(GA | {"gen_ai.input.messages.0.message.role": "user", "gen_ai.input.messages.0.message.content": "Hi", "gen_ai.output.messages.0.message.role": "assistant", "gen_ai.output.messages.0.message.content": "Yes", "gen_ai.output.messages.0.message.tool_calls.0.tool_call.function.name": "f"}, LLM | TURN | {CALL.format("function.name"): "f"}),
    "litellm, a guardrail": Case({"litellm.guardrail.name": "pii"}, {"kind": "GUARDRAIL"}),
    "litellm, a call": Case({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.cost.total_cost": 0.5, "litellm.end_user.id": "u"} | GA_USAGE, LLM | TOKENS | {"cost.total": 0.5, "user_id": "u"}),
    "loongsuite, the group's dialect": Case({"gen_ai.span_kind_name": "ENTRY"}, {"kind": "CHAIN"}),
    "dify": Case({"gen_ai.span.kind": "LLM", "gen_ai.model_name": "m", "gen_ai.session.id": "c", "gen_ai.user.id": "u"} | GA_USAGE, LLM | TOKENS | IDENTITY),
    "langtrace": Case({"langtrace.service.type": "llm", "langtrace.service.name": "p", "llm.model": "m", "llm.token.counts": as_json({"input_tokens": 12, "output_tokens": 5}), "llm.prompts": as_json(CHAT_IN), "llm.responses": as_json(CHAT_OUT)}, LLM | TOKENS | TURN | {"provider": "p"}),
    "n8n": Case({"n8n.node.type": "@n8n/n8n-nodes-langchain.agent", "n8n.node.name": "a"}, {"kind": "AGENT", "agent_name": "a"}),
    "n8n, a model": Case({"n8n.node.type": "@n8n/n8n-nodes-langchain.lmChatOpenAi", "n8n.node.name": "model"}, {"kind": "LLM"}, name="node.execute"),
    "n8n, a tool": Case({"n8n.node.type": "n8n-nodes-base.httpRequestTool", "n8n.node.name": "f", "n8n.node.output": "42"}, {"kind": "TOOL", "tool.name": "f", "output.value": "42"}, name="node.execute"),
    "n8n, any other node": Case({"n8n.node.type": "n8n-nodes-base.httpRequest", "n8n.node.name": "x", "n8n.node.items.input": 1}, {"kind": "CHAIN"}, name="node.execute"),
    "langtrace, a framework": Case({"langtrace.service.type": "framework", "langtrace.service.name": "Langchain", "langchain.task.name": "runnable", "langchain.inputs": '{"a":1}', "langchain.outputs": "42"}, {"kind": "CHAIN", "input.value": '{"a":1}', "output.value": "42"}),
    "mcp, a tool": Case({"mcp.method.name": "tools/call", "gen_ai.tool.name": "f", "mcp.request.argument": '{"a":1}', "mcp.response.value": "42", "mcp.session.id": "c"}, TOOL | {"session_id": "c"}),
    "mcp, a failed tool": Case({"mcp.method.name": "tools/call", "gen_ai.tool.name": "f", "mcp.tool.is_error": True}, {"halo.derived.error": True}),
    "mcp, a listing": Case({"mcp.method.name": "tools/list"}, {"kind": "SPAN"}),
    "plain": Case({"http.request.method": "GET", "enduser.id": "u"}, {"kind": "SPAN", "user_id": "u"}),
    "openlit, a vector store": Case({"gen_ai.operation.name": "vectordb", "db.system": "pinecone"}, {"kind": "RETRIEVER"}),
    "semantic kernel": Case({"gen_ai.operation.name": "text_completions", "gen_ai.request.model": "m", "gen_ai.response.finish_reason": "stop"}, LLM | STOP),
    "openllmetry, content blocks": Case({"llm.request.type": "chat", "gen_ai.request.model": "m", "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": as_json([{"type": "text", "text": "Hi"}]), "gen_ai.prompt.1.role": "user", "gen_ai.prompt.1.content": as_json([{"type": "tool_result", "tool_use_id": "call_1", "content": "42"}]), "gen_ai.prompt.2.role": "user", "gen_ai.prompt.2.content": '[{"type":"mine"}]'}, LLM | {ASKED.format(0, "content"): "Hi", ASKED.format(1, "role"): "tool", ASKED.format(1, "content"): "42", ASKED.format(1, "tool_call_id"): "call_1", ASKED.format(2, "content"): '[{"type":"mine"}]'}),
    "claude code, a failed call": Case({"span.type": "llm_request", "model": "m", "success": False}, LLM | {"halo.derived.error": True}, name="claude_code.llm_request"),
    "agentops, an agent": Case({"agentops.span.kind": "agent", "operation.name": "a", "agentops.agent.input": "Hi", "agentops.agent.output": "Yes"}, {"kind": "AGENT", "agent_name": "a", "input.value": "Hi", "output.value": "Yes"}, name="a.agent"),
    "agentops, a tool": Case({"agentops.span.kind": "tool", "tool.name": "f", "tool.parameters": '{"a":1}', "tool.result": "42"}, TOOL, name="f.tool"),
    "agentops, a decorated tool": Case({"agentops.span.kind": "tool", "operation.name": "f", "agentops.entity.input": '{"a":1}', "agentops.entity.output": "42"}, TOOL, name="f.tool"),
    "agentops, a session": Case({"agentops.span.kind": "session"}, {"kind": "CHAIN"}, name="default.session"),
    "agent framework, an executor": Case({"executor.id": "e", "executor.type": "AgentExecutor"}, {"kind": "CHAIN"}, name="executor.process e"),
    "agent framework, a workflow": Case({"workflow.id": "w"}, {"kind": "CHAIN"}, name="workflow.run", scope="agent_framework"),
    "semantic kernel, its loop": Case({"sk.available_functions": "f"}, {"kind": "CHAIN"}, name="AutoFunctionInvocationLoop"),
    "openai agents through logfire, a tool": Case({"name": "f", "input": '{"a":1}', "output": "42"}, TOOL, name="Function: {name}", scope="logfire.openai_agents"),
    "openai agents through logfire, an agent": Case({"name": "a", "tools": ["f"]}, {"kind": "AGENT", "agent_name": "a"}, name="Agent run: {name!r}", scope="logfire.openai_agents"),
    "confident, a call": Case({"confident.span.type": "llm", "confident.llm.model": "m", "confident.llm.input_token_count": 12, "confident.llm.output_token_count": 5, "confident.span.input": "Hi", "confident.span.output": "Yes", "confident.trace.thread_id": "c", "confident.trace.user_id": "u"}, LLM | TOKENS | TURN | IDENTITY),
    "azure agents, a run": Case({"gen_ai.operation.name": "process_thread_run", "gen_ai.response.model": "m", "gen_ai.thread.id": "c", "gen_ai.agent.id": "i"} | GA_USAGE, LLM | TOKENS | {"session_id": "c", "agent_id": "i"}),
    "azure agents, a message": Case({"gen_ai.operation.name": "create_message", "gen_ai.thread.id": "c"}, {"kind": "CHAIN", "session_id": "c"}),
    "gemini cli, a tool's span": Case({"gen_ai.operation.name": "tool_call", "gen_ai.agent.name": "gemini-cli", "gen_ai.tool.name": "f", "gen_ai.tool.call_id": "call_1", "gen_ai.input.messages": '{"a":1}', "gen_ai.output.messages": "42"}, TOOL | {"gen_ai.tool.call.id": "call_1"}),
    "gemini cli, a prompt": Case({"gen_ai.operation.name": "user_prompt", "gen_ai.agent.name": "gemini-cli"}, {"kind": "CHAIN", "agent_name": "gemini-cli"}),
    "litellm, a function call of old": Case({"gen_ai.request.model": "m", "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.function_call.name": "f", "gen_ai.completion.0.function_call.arguments": '{"a":1}', "metadata.user_api_key_user_id": "u"}, LLM | {CALL.format("function.name"): "f", CALL.format("function.arguments"): '{"a":1}', "user_id": "u"}, name="litellm_request"),
    "genkit, tool calls and answers": Case({"genkit:metadata:subtype": "model", "genkit:name": "m", "genkit:input": as_json({"messages": [{"role": "tool", "content": [{"toolResponse": {"ref": "call_0", "name": "g", "output": "9"}}]}], "tools": [TOOL_DEFINITION]}), "genkit:output": as_json({"message": {"role": "model", "content": [{"toolRequest": {"ref": "call_1", "name": "f", "input": {"a": 1}}}]}})}, LLM | {ASKED.format(0, "role"): "tool", ASKED.format(0, "content"): "9", ASKED.format(0, "tool_call_id"): "call_0", CALL.format("id"): "call_1", CALL.format("function.name"): "f", CALL.format("function.arguments"): '{"a":1}', SCHEMA: '{"name":"f","parameters":{"type":"object"}}'}),
    "mlflow, a call of dspy": Case({"mlflow.spanType": '"CHAT_MODEL"', "model": '"m"', "mlflow.spanInputs": as_json({"messages": CHAT_IN}), "mlflow.spanOutputs": '["Yes"]'}, LLM | TURN),
    "dspy, a tool": Case({"openinference.span.kind": "TOOL"}, {"kind": "TOOL", "tool.name": "look_up"}, name="look_up.__call__", scope="openinference.instrumentation.dspy"),
    "dspy, a tool, awaited": Case({"openinference.span.kind": "TOOL"}, {"kind": "TOOL", "tool.name": "look_up"}, name="look_up.acall", scope="openinference.instrumentation.dspy"),
    "dspy, a model": Case({"openinference.span.kind": "LLM"}, {"kind": "LLM", "tool.name": None}, name="LM.__call__", scope="openinference.instrumentation.dspy"),
    "agno, ids": Case({"openinference.span.kind": "AGENT", "agno.agent.id": "i"}, {"kind": "AGENT", "agent_id": "i"}),
    "weave, a thread": Case({"wandb.thread_id": "c", "wandb.is_turn": True}, {"session_id": "c"}),
    "openinference, the evaluations of arize": Case({"openinference.span.kind": "LLM", "eval.truth.explanation": "why", "eval.truth.label": "half", "eval.truth.score": 0.5, "eval.other.score": 1}, {"kind": "LLM", "gen_ai.evaluation.name": "truth", "gen_ai.evaluation.score.value": 0.5, "gen_ai.evaluation.score.label": "half", "gen_ai.evaluation.explanation": "why"}),
    "openinference, the evaluation of a trace": Case({"trace_eval.truth.score": 0.5}, {"gen_ai.evaluation.name": "truth", "gen_ai.evaluation.score.value": 0.5}),
    "langfuse, usage as OpenAI nests it": Case({"langfuse.observation.type": "generation", "langfuse.observation.model.name": "m", "langfuse.observation.usage_details": as_json({"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17, "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2}})}, LLM | CACHED | {"reasoning_output_tokens": 2}),
    "langfuse, usage as OpenAI's responses nest it": Case({"langfuse.observation.type": "generation", "langfuse.observation.model.name": "m", "langfuse.observation.usage_details": as_json({"input_tokens": 12, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 4}, "output_tokens_details": {"reasoning_tokens": 2}})}, LLM | CACHED | {"reasoning_output_tokens": 2}),
    "a gateway, the answer kept whole": Case({"gen_ai.request.model": "r", "gen_ai.prompt": as_json({"messages": CHAT_IN, "tools": [TOOL_DEFINITION]}), "gen_ai.completion": as_json({"model": "m", "choices": [{"message": CHAT_OUT[0], "finish_reason": "stop"}], "usage": {"prompt_tokens": 12, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}})}, {"kind": "LLM"} | CACHED | TURN | STOP | {SCHEMA: '{"name":"f","parameters":{"type":"object"}}'}),
    "cloudflare's gateway": Case({"gen_ai.request.model": "m", "gen_ai.model.provider": "p", "gen_ai.usage.cost": 0.5, "gen_ai.prompt_json": as_json({"messages": CHAT_IN, "tools": [TOOL_DEFINITION]}), "gen_ai.completion_json": as_json({"choices": [{"message": CHAT_OUT[0], "finish_reason": "stop"}]})} | GA_USAGE, LLM | TOKENS | TURN | STOP | {"provider": "p", "cost.total": 0.5, SCHEMA: '{"name":"f","parameters":{"type":"object"}}'}),
    "portkey": Case({"gen_ai.response.model": "m", "gen_ai.response.input_tokens": 12, "gen_ai.response.output_tokens": 5}, LLM | TOKENS),
    "portkey, its analytics": Case({"ai_model": "m", "ai_org": "p", "req_units": 12, "res_units": 5}, LLM | TOKENS | {"provider": "p"}, scope="portkey"),
    "portkey, an embedding": Case({"ai_model": "text-embedding-m", "req_units": 12, "res_units": 0}, {"kind": "EMBEDDING", "input_tokens": 12}, scope="portkey"),
    "portkey, an embedding kept whole": Case({"gen_ai.request.model": "m", "gen_ai.completion": '{"object":"list","data":[{"object":"embedding","embedding":[0.5]}]}'}, {"kind": "EMBEDDING", "model_name": "m"}),
    "portkey, a guardrail": Case({}, {"kind": "GUARDRAIL"}, name="portkey.guardrail.pii", scope="portkey"),
    "mastra, its first releases": Case({"agent.stream.argument.0": "Hi", "agent.stream.result": '{"text":"Yes"}', "componentName": "a", "threadId": "c", "resourceId": "u"}, {"kind": "AGENT", "agent_name": "a", "input.value": "Hi", "output.value": '{"text":"Yes"}'} | IDENTITY, name="agent.stream"),
    "llamaindex, a call": Case({"llamaindex.run_id": "r"}, {"kind": "LLM"} | {ASKED.format(0, "content"): "Hi", ASKED.format(1, "role"): "assistant", "llm.input_messages.1.message.tool_calls.0.tool_call.function.name": "f", "llm.input_messages.1.message.tool_calls.0.tool_call.function.arguments": '{"a":1}', "llm.input_messages.1.message.tool_calls.1.tool_call.function.name": None, ASKED.format(2, "content"): "42", ASKED.format(2, "tool_call_id"): "1"}, name="OpenAI.astream_chat", scope="llamaindex.opentelemetry.tracer", events=(("LLMChatStartEvent", {"messages": as_json([{"role": "user", "additional_kwargs": {}, "blocks": [{"block_type": "text", "text": "Hi"}]}, {"role": "assistant", "additional_kwargs": {"tool_calls": [{"id": "1", "function": {"name": "f", "arguments": '{"a":1}'}}]}, "blocks": [{"block_type": "tool_call", "tool_call_id": "1", "tool_name": "f", "tool_kwargs": {"a": 1}}]}, {"role": "tool", "additional_kwargs": {"tool_call_id": "1"}, "blocks": [{"block_type": "text", "text": "42"}]}])}),)),
    "llamaindex, what its answer counts": Case(
        {},
        LLM | CACHED | TURN | STOP | {"model_name": "m-1", "gen_ai.request.model": "m", "input_tokens": 18, "reasoning_output_tokens": None},
        name="Anthropic.chat",
        scope="llamaindex.opentelemetry.tracer",
        events=(
            ("LLMChatStartEvent", {"messages": as_json([{"role": "user", "blocks": [{"block_type": "text", "text": "Hi"}]}]), "model_dict.model": "m"}),
            ("LLMChatEndEvent", {"response.message.role": "assistant", "response.message.blocks": as_json([{"block_type": "text", "text": "Yes"}]), "response.raw.model": "m-1", "response.raw.stop_reason": "stop", "response.raw.usage.input_tokens": 12, "response.raw.usage.output_tokens": 5, "response.raw.usage.cache_read_input_tokens": 4, "response.raw.usage.cache_creation_input_tokens": 2}),
        ),
    ),
    "llamaindex, an embedding": Case({}, {"kind": "EMBEDDING", "model_name": "m"}, name="OpenAIEmbedding.get_query_embedding", scope="llamaindex.opentelemetry.tracer", events=(("EmbeddingStartEvent", {"model_dict.model_name": "m"}),)),
    "llamaindex, documents": Case({}, {"kind": "RETRIEVER", "input.value": "Hi", "retrieval.documents.0.document.id": "d", "retrieval.documents.0.document.content": "t", "retrieval.documents.0.document.score": 0.5}, name="VectorIndexRetriever.retrieve", scope="llamaindex.opentelemetry.tracer", events=(("RetrievalEndEvent", {"str_or_query_bundle": "Hi", "nodes": as_json([{"node": {"id_": "d", "text": "t"}, "score": 0.5}])}),)),
    "llamaindex, a completion": Case({}, {"kind": "LLM"} | TURN, name="OpenAI.complete", scope="llamaindex.opentelemetry.tracer", events=(("LLMCompletionStartEvent", {"prompt": "Hi"}), ("LLMCompletionEndEvent", {"prompt": "Hi", "response.text": "Yes"}))),
    "llamaindex, a retriever": Case({}, {"kind": "RETRIEVER"}, name="VectorIndexRetriever.aretrieve", scope="llamaindex.opentelemetry.tracer"),
    "llamaindex, a workflow's step": Case({"llamaindex.step_name": "parse"}, {"kind": "CHAIN"}, name="Flow.parse", scope="llamaindex.opentelemetry.tracer"),
    "llamaindex, its first releases": Case({}, {"kind": "AGENT", "agent_name": "FunctionAgent"}, name="FunctionAgent.run-0af76519-16cd-43dd-8448-eb211c80319c", scope="llamaindex.opentelemetry.tracer"),
    "llamaindex, an engine": Case({}, {"kind": "CHAIN"}, name="ContextChatEngine.stream_chat", scope="llamaindex.opentelemetry.tracer"),
    "llamaindex, a pipeline": Case({}, {"kind": "CHAIN"}, name="IngestionPipeline.arun", scope="llamaindex.opentelemetry.tracer"),
    "bedrock, what the model thought": Case(GA | {"gen_ai.output.messages": as_json([{"role": "assistant", "content": [{"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "x"}}}, {"text": "Yes"}]}])}, {"llm.output_messages.0.message.contents.0.message_content.type": "reasoning", "llm.output_messages.0.message.contents.0.message_content.text": "Hm", "llm.output_messages.0.message.contents.1.message_content.text": "Yes"}),
    "langchain, what the model thought": Case(GA | {"gen_ai.output.messages": as_json([{"role": "assistant", "content": [{"type": "reasoning_content", "reasoning_content": {"text": "Hm", "signature": "x"}}, {"type": "text", "text": "Yes"}]}])}, {"llm.output_messages.0.message.contents.0.message_content.type": "reasoning", "llm.output_messages.0.message.contents.0.message_content.text": "Hm"}),
    "user feedback": Case({"feedback.key": "thumbs", "feedback.score": 1, "feedback.comment": "good"}, {"gen_ai.evaluation.name": "thumbs", "gen_ai.evaluation.score.value": 1, "gen_ai.evaluation.explanation": "good"}),
    "genai, all of a call in its event": Case({}, LLM | CACHED | STOP | {"provider": "p", "session_id": "c", "gen_ai.request.model": "r", ASKED.format(0, "role"): "system", ASKED.format(0, "content"): "Be brief", ASKED.format(1, "content"): "Hi", SAID.format(0, "content"): "Yes", SCHEMA: '{"name":"f","parameters":{"type":"object"}}'}, name="chat m", events=(("gen_ai.client.inference.operation.details", GA | GA_USAGE | {"gen_ai.request.model": "r", "gen_ai.provider.name": "p", "gen_ai.usage.cache_read.input_tokens": 4, "gen_ai.conversation.id": "c", "gen_ai.system_instructions": [{"type": "text", "content": "Be brief"}], "gen_ai.input.messages": PARTS_IN, "gen_ai.output.messages": PARTS_OUT, "gen_ai.tool.definitions": [TOOL_DEFINITION], "gen_ai.response.finish_reasons": ["stop"]}),)),
    "genai, an event tells nothing twice": Case(GA | GA_USAGE, LLM | TOKENS, events=(("gen_ai.client.inference.operation.details", {"gen_ai.usage.input_tokens": 24, "gen_ai.usage.output_tokens": 10, "gen_ai.response.model": "n"}),)),
    "genai, an event on an agent": Case({"gen_ai.operation.name": "invoke_agent"}, {"kind": "AGENT", "input_tokens": None, "halo.aggregate.input_tokens": 12}, events=(("gen_ai.client.inference.operation.details", GA_USAGE),)),
    "strands, a tool's event": Case({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "f"}, TOOL, events=(("gen_ai.client.inference.operation.details", {"gen_ai.input.messages": as_json([{"role": "tool", "parts": [{"type": "tool_call", "name": "f", "id": "1", "arguments": {"a": 1}}]}])}), ("gen_ai.client.inference.operation.details", {"gen_ai.output.messages": as_json([{"role": "tool", "parts": [{"type": "tool_call_response", "id": "1", "response": [{"text": "42"}]}]}])}))),
    "langsmith, usage in the answer": Case({"langsmith.span.kind": "llm", "gen_ai.completion": as_json({"generations": [[{"text": "Yes", "message": {"kwargs": {"type": "ai", "content": "Yes", "usage_metadata": {"input_tokens": 12, "output_tokens": 5, "input_token_details": {"cache_read": 4}}, "response_metadata": {"model_name": "m"}}}}]]})}, LLM | CACHED | {SAID.format(0, "content"): "Yes"}),
    "langchain, usage beside the answer": Case({"langsmith.span.kind": "llm", "gen_ai.completion": as_json({"generations": [[{"text": "Yes"}]], "llm_output": {"model_name": "m", "token_usage": {"prompt_tokens": 12, "completion_tokens": 5}}})}, LLM | TOKENS),
    "azure, an agent's text": Case({"gen_ai.operation.name": "process_thread_run"}, {"kind": "LLM", ASKED.format(0, "content"): "Yes"}, events=(("gen_ai.assistant.message", {"gen_ai.event.content": '{"role":"assistant","content":{"text":{"value":"Yes"}}}'}),)),
    "agentcore, a runtime": Case({"aws.operation.name": "InvokeAgentRuntime", "aws.agent.id": "i", "session.id": "c"}, {"kind": "AGENT", "agent_id": "i", "session_id": "c"}),
    "agentcore, an interpreter": Case({"aws.operation.name": "InvokeCodeInterpreter"}, {"kind": "TOOL", "tool.name": "InvokeCodeInterpreter"}),
    "agentcore, memory": Case({"aws.operation.name": "CreateEvent", "actor.id": "u"}, {"kind": "CHAIN", "user_id": "u"}),
    "aws, no agent's": Case({"aws.operation.name": "PutObject"}, {"kind": "SPAN"}),
    "a tool named and no more": Case({"tool.name": "f"}, {"kind": "TOOL", "tool.name": "f"}),
    "a conversation's id of many": Case(GA | {"thread_id": "c"}, LLM | {"session_id": "c"}),
    "a message that is null": Case(GA | {"gen_ai.input.messages": "null", "gen_ai.output.messages": '""'}, LLM | {ASKED.format(0, "content"): None, SAID.format(0, "content"): None}),
    **{
        f"reasoning beside content, as {key}": Case(GA | {"gen_ai.output.messages": as_json([{"role": "assistant", "content": "Yes", key: "Hm"}])}, THOUGHT)
        for key in ("reasoning_content", "reasoning", "thinking")
    },
    "reasoning beside content, in flat keys": Case(GA | {"gen_ai.completion.0.content": "Yes", "gen_ai.completion.0.reasoning_content": "Hm"}, THOUGHT),
    "reasoning beside content, wrapped": Case(GA | {"gen_ai.output.messages": as_json([{"type": "ai", "content": "Yes", "additional_kwargs": {"reasoning_content": "Hm"}}])}, THOUGHT),
    "reasoning beside content, in an event": Case(GA, THOUGHT, events=(("gen_ai.choice", {"message": as_json({"content": "Yes", "reasoning_content": "Hm"})}),)),
    "reasoning among the parts, and beside them": Case(GA | {"gen_ai.output.messages": as_json([{"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "Yes"}], "reasoning_content": "Hm"}])}, THOUGHT),
    "openinference, messages not taken apart": Case({"openinference.span.kind": "LLM", "llm.input_messages": [{"message.role": "user", "message.content": "Hi"}], "llm.output_messages": [{"message.role": "assistant", "message.contents": [{"message_content.type": "text", "message_content.text": "Yes"}], "message.tool_calls": [{"tool_call.id": "1", "tool_call.function.name": "f", "tool_call.function.arguments": "{}"}]}]}, TURN | {CALL.format("id"): "1", CALL.format("function.name"): "f", CALL.format("function.arguments"): "{}"}),
    "genai, a tool of the server": Case(GA | {"gen_ai.output.messages": as_json([{"role": "assistant", "parts": [{"type": "server_tool_call", "id": "1", "name": "search", "server_tool_call": {"type": "search"}}, {"type": "server_tool_call_response", "id": "1", "server_tool_call_response": {"type": "search"}}]}])}, {CALL.format("function.name"): "search", CALL.format("function.arguments"): '{"type":"search"}', SAID.format(1, "role"): "tool", SAID.format(1, "tool_call_id"): "1", SAID.format(1, "content"): '{"type":"search"}'}),
    "genai, choices out of order": Case(GA, {SAID.format(0, "content"): "A", SAID.format(1, "content"): "B", "gen_ai.response.finish_reasons": ["stop", "length"]}, events=(("gen_ai.choice", {"index": 1, "message": "B", "finish_reason": "length"}), ("gen_ai.choice", {"index": 0, "message": "A", "finish_reason": "stop"}))),
    "genai, its exception event": Case(GA, LLM | {"error.type": "RateLimit", "halo.derived.error": True}, events=(("gen_ai.client.operation.exception", {"exception.type": "RateLimit", "exception.message": "slower"}),)),
    "gemini, what it thought": Case(GA | {"gen_ai.output.messages": as_json([{"role": "model", "parts": [{"text": "Hm", "thought": True}, {"text": "Yes"}]}])}, THOUGHT),
}  # fmt: skip
