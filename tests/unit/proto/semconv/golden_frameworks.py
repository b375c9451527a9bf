"""The same for frameworks, SDKs and gateways that add to the vocabularies of others."""

from tests.unit.proto.semconv.golden_requests import WEATHER, WEATHER_JSON, Dialect, as_json

ASKED = {"role": "user", "content": "Regnet es in Zürich?"}
SAID = {"role": "assistant", "content": "Ja."}
CALL = {
    "id": "call_9",
    "type": "function",
    "function": {"name": "get_weather", "arguments": WEATHER_JSON},
}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
PARTS_IN = as_json([{"role": "user", "parts": [{"type": "text", "content": "Regnet es?"}]}])
PARTS_OUT = as_json(
    [{"role": "assistant", "parts": [{"type": "text", "content": "Ja."}], "finish_reason": "stop"}]
)
PARTS_CALL = as_json(
    [
        {
            "role": "assistant",
            "parts": [
                {"type": "tool_call", "id": "call_9", "name": "get_weather", "arguments": WEATHER}
            ],
            "finish_reason": "tool_calls",
        }
    ]
)

FRAMEWORKS: dict[str, Dialect] = {
    "halo": (
        "",
        [
            ("forecaster", {"inference.observation_kind": "AGENT", "inference.agent_name": "forecaster", "inference.agent_id": "forecaster-1", "inference.session_id": "session-1", "inference.user_id": "user-1", "inference.llm.input_tokens": 20}),
            ("small", {"inference.observation_kind": "LLM", "inference.llm.provider": "openai", "inference.llm.model_name": "small", "inference.llm.input_tokens": "20", "inference.llm.output_tokens": 4.0, "inference.llm.cached_input_tokens": 8, "inference.llm.reasoning_output_tokens": 2, "inference.llm.cost.total": 0.001, "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "Regnet es?", "llm.output_messages.0.message.role": "assistant", "llm.output_messages.0.message.content": "Ja."}),
            ("get_weather", {"inference.observation.kind": "TOOL", "tool.name": "get_weather", "input.value": WEATHER_JSON, "output.value": "Regen"}),
        ],
    ),
    "agno": (
        "openinference.instrumentation.agno",
        [
            ("Forecaster.run", {"openinference.span.kind": "AGENT", "agno.agent.id": "agent-1", "session.id": "session-1", "user.id": "user-1", "input.value": "Regnet es?", "output.value": "Ja."}),
            ("OpenAIChat.invoke", {"openinference.span.kind": "LLM", "llm.provider": "OpenAI", "llm.model_name": "small", "llm.token_count.prompt": 20, "llm.token_count.completion": 4, "llm.token_count.prompt_details.cache_read": 8, "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "Regnet es?", "llm.output_messages.0.message.role": "assistant", "llm.output_messages.0.message.tool_calls.0.tool_call.id": "call_9", "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "get_weather", "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": WEATHER_JSON, "llm.tools.0.tool.json_schema": as_json(TOOL)}),
            ("get_weather", {"openinference.span.kind": "TOOL", "tool.name": "get_weather", "tool.parameters": WEATHER_JSON, "output.value": "Regen"}),
        ],
    ),
    "dspy": (
        "openinference.instrumentation.dspy",
        [
            ("ReAct.forward", {"openinference.span.kind": "CHAIN", "input.value": '{"input_args":{"question":"Regnet es?"}}', "output.value": '{"answer":"Ja."}'}),
            ("get_weather.__call__", {"openinference.span.kind": "TOOL", "input.value": '{"kwargs":{"city":"Ulm"}}', "output.value": "Regen"}),
            ("get_weather.acall", {"openinference.span.kind": "TOOL", "input.value": '{"kwargs":{"city":"Ulm"}}', "output.value": "Regen"}),
        ],
    ),
    "beeai": (
        "openinference.instrumentation.beeai",
        [
            ("agent.tool_calling.run", {"openinference.span.kind": "AGENT", "source": "forecaster", "target": "agent.tool_calling.run"}),
            ("backend.openai.chat", {"openinference.span.kind": "LLM", "llm.model_name": "small", "llm.provider": "openai", "llm.token_count.prompt": 20, "llm.token_count.completion": 4, "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "Regnet es?"}),
            ("tool.get_weather", {"openinference.span.kind": "TOOL", "target": "tool.get_weather.start", "input.value": WEATHER_JSON, "output.value": "Regen"}),
        ],
    ),
    "crewai": (
        "crewai.telemetry",
        [
            ("Crew Created", {"crew_key": "crew-1", "kickoff_id": "session-1", "crewai.crew.inputs": WEATHER_JSON, "crewai.crew.output": "Ja.", "crewai.crew.usage_metrics": as_json({"prompt_tokens": 20, "completion_tokens": 4, "cached_prompt_tokens": 8})}),
            ("execute agent", {"crewai.agent.role": "Forecaster", "crewai.agent.key": "agent-1"}),
            ("call llm", {"gen_ai.operation.name": "chat", "gen_ai.request.model": "small", "gen_ai.usage.input_tokens": 20, "gen_ai.usage.output_tokens": 4, "gen_ai.input.messages": PARTS_IN, "gen_ai.output.messages": PARTS_OUT}),
            ("Tool Usage", {"crewai.tool.name": "get_weather", "gen_ai.tool.call.arguments": WEATHER_JSON, "gen_ai.tool.call.result": "Regen"}),
            ("evaluate guardrail", {"crewai.guardrail.type": "llm"}),
            ("query knowledge", {}),
        ],
    ),
    "autogen": (
        "autogen-core",
        [
            ("create_agent forecaster", {"gen_ai.system": "autogen", "gen_ai.operation.name": "create_agent", "gen_ai.agent.name": "forecaster", "gen_ai.agent.id": "forecaster_1", "gen_ai.agent.description": "Knows the weather."}),
            ("invoke_agent forecaster", {"gen_ai.system": "autogen", "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "forecaster", "gen_ai.agent.id": "forecaster_1"}),
            ("autogen process forecaster.(default)-A", {"messaging.operation": "process", "messaging.destination": "forecaster.(default)-A"}),
            ("execute_tool get_weather", {"gen_ai.system": "autogen", "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_weather", "gen_ai.tool.call.id": "call_9", "gen_ai.tool.description": "Tells the weather.", "error.type": "ValueError"}),
        ],
    ),
    "koog": (
        "ai.koog.agents",
        [
            ("invoke_agent forecaster", {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.id": "forecaster", "gen_ai.conversation.id": "session-1", "koog.agent.strategy.name": "single_run"}),
            ("strategy single_run", {"koog.strategy.name": "single_run"}),
            ("node callLLM", {"koog.node.name": "callLLM", "koog.node.input": "Regnet es?", "koog.node.output": "Ja."}),
            ("chat small", {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "small", "gen_ai.response.model": "small-2026", "gen_ai.usage.input_tokens": 20, "gen_ai.usage.output_tokens": 4, "gen_ai.input.messages": PARTS_IN, "gen_ai.output.messages": PARTS_CALL, "gen_ai.tool.definitions": as_json([TOOL])}),
            ("execute_tool get_weather", {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_weather", "gen_ai.tool.call.id": "call_9", "gen_ai.tool.call.arguments": WEATHER_JSON, "gen_ai.tool.call.result": "Regen"}),
        ],
    ),
    "agentops": (
        "agentops",
        [
            ("default.session", {"agentops.span.kind": "session"}),
            ("forecaster.agent", {"agentops.span.kind": "agent", "operation.name": "forecaster", "agentops.agent.input": "Regnet es?", "agentops.agent.output": "Ja."}),
            ("openai.chat.completion", {"agentops.span.kind": "llm", "gen_ai.system": "OpenAI", "gen_ai.request.model": "small", "gen_ai.response.model": "small-2026", "gen_ai.usage.prompt_tokens": 20, "gen_ai.usage.completion_tokens": 4, "gen_ai.usage.cache_read_input_tokens": 8, "gen_ai.usage.reasoning_tokens": 2, "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "Regnet es?", "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.tool_calls.0.id": "call_9", "gen_ai.completion.0.tool_calls.0.name": "get_weather", "gen_ai.completion.0.tool_calls.0.arguments": WEATHER_JSON, "gen_ai.completion.0.finish_reason": "tool_calls"}),
            ("get_weather.tool", {"agentops.span.kind": "tool", "tool.name": "get_weather", "tool.parameters": WEATHER_JSON, "tool.result": "Regen"}),
        ],
    ),
    "agent_framework": (
        "agent_framework",
        [
            ("workflow.run", {"workflow.id": "workflow-1"}),
            ("executor.process forecaster", {"executor.id": "forecaster", "executor.type": "AgentExecutor"}),
            ("edge_group.process", {"edge_group.type": "SingleEdgeGroup"}),
            ("invoke_agent forecaster", {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "forecaster", "gen_ai.agent.id": "agent-1", "gen_ai.usage.input_tokens": 20}),
            ("chat small", {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.response.model": "small-2026", "gen_ai.usage.input_tokens": 20, "gen_ai.usage.output_tokens": 4, "gen_ai.input.messages": PARTS_IN, "gen_ai.output.messages": PARTS_OUT}),
        ],
    ),
    "openai_agents": (
        "logfire.openai_agents",
        [
            ("OpenAI Agents trace: {name}", {"name": "weather", "group_id": "session-1"}),
            ("Agent run: {name!r}", {"name": "forecaster", "tools": ["get_weather"]}),
            ("Responses API with {gen_ai.request.model!r}", {"gen_ai.request.model": "small", "gen_ai.response.model": "small-2026", "gen_ai.system": "openai", "gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 20, "gen_ai.usage.output_tokens": 4, "events": as_json([{"event.name": "gen_ai.user.message", "role": "user", "content": "Regnet es?"}, {"event.name": "gen_ai.choice", "index": 0, "message": {"role": "assistant", "tool_calls": [CALL]}}])}),
            ("Function: {name}", {"name": "get_weather", "input": WEATHER_JSON, "output": "Regen"}),
            ("Guardrail {name!r} {triggered=}", {"name": "politeness", "triggered": False}),
        ],
    ),
    "confident": (
        "deepeval.tracing",
        [
            ("forecaster", {"confident.span.type": "agent", "confident.span.name": "forecaster", "confident.trace.thread_id": "session-1", "confident.trace.user_id": "user-1", "confident.span.input": "Regnet es?", "confident.span.output": "Ja."}),
            ("small", {"confident.span.type": "llm", "confident.llm.model": "small", "confident.llm.provider": "openai", "confident.llm.input_token_count": 20, "confident.llm.output_token_count": 4, "confident.span.input": as_json([ASKED]), "confident.span.output": "Ja."}),
            ("get_weather", {"confident.span.type": "tool", "confident.span.name": "get_weather", "confident.span.input": WEATHER_JSON, "confident.span.output": "Regen"}),
            ("search", {"confident.span.type": "retriever", "confident.retriever.embedder": "embed", "confident.span.input": "Regen", "confident.span.retrieval_context": ["Regen im Osten"]}),
        ],
    ),
    "claude_api": (
        "com.anthropic.sdk.python",
        [
            ("anthropic.messages.create", {"gen_ai.provider.name": "anthropic", "gen_ai.request.model": "claude-small", "anthropic.usage.input_tokens": 12, "anthropic.usage.output_tokens": 4, "anthropic.usage.cache_read_input_tokens": 8, "anthropic.usage.cache_creation_input_tokens": 2, "gen_ai.input.messages": PARTS_IN, "gen_ai.output.messages": PARTS_CALL}),
            ("anthropic.tool_use get_weather", {"gen_ai.tool.call.id": "call_9", "gen_ai.tool.call.arguments": WEATHER_JSON, "gen_ai.tool.call.result": "Regen"}),
        ],
    ),
    "gemini_cli": (
        "gemini-cli",
        [
            ("user_prompt", {"gen_ai.operation.name": "user_prompt", "gen_ai.agent.name": "gemini-cli", "session.id": "session-1"}),
            ("llm_call", {"gen_ai.operation.name": "llm_call", "gen_ai.agent.name": "gemini-cli", "gen_ai.request.model": "gemini-small", "input_token_count": 20, "output_token_count": 4, "cached_content_token_count": 8, "thoughts_token_count": 2, "gen_ai.input.messages": PARTS_IN, "gen_ai.output.messages": PARTS_CALL}),
            ("tool_call", {"gen_ai.operation.name": "tool_call", "gen_ai.agent.name": "gemini-cli", "gen_ai.tool.name": "get_weather", "gen_ai.tool.call_id": "call_9", "gen_ai.input.messages": WEATHER_JSON, "gen_ai.output.messages": "Regen"}),
            ("gemini_cli.tool_call", {"openinference.span.kind": "TOOL", "function_name": "get_weather", "function_args": WEATHER_JSON, "success": False, "error": "kaputt"}),
        ],
    ),
    "qwen_code": (
        "qwen-code",
        [
            ("qwen-code.user_prompt", {"openinference.span.kind": "AGENT", "prompt": "Regnet es?", "session.id": "session-1"}),
            ("qwen-code.api_response", {"openinference.span.kind": "LLM", "model": "qwen-small", "input_token_count": 20, "output_token_count": 4, "cached_content_token_count": 8, "thoughts_token_count": 2, "response_text": "Ja."}),
            ("qwen-code.tool_call", {"openinference.span.kind": "TOOL", "function_name": "get_weather", "function_args": WEATHER_JSON, "success": True}),
        ],
    ),
    "copilot": (
        "copilot-chat",
        [
            ("invoke_agent copilot", {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "copilot", "copilot_chat.chat_session_id": "session-1", "copilot_chat.user_request": "Regnet es?", "gen_ai.usage.input_tokens": 20, "gen_ai.usage.output_tokens": 4}),
            ("chat small", {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "github", "gen_ai.request.model": "small", "gen_ai.response.model": "small-2026", "gen_ai.usage.input_tokens": 20, "gen_ai.usage.output_tokens": 4, "gen_ai.usage.cache_read.input_tokens": 8, "copilot_chat.session_id": "session-1", "gen_ai.input.messages": PARTS_IN, "gen_ai.output.messages": PARTS_CALL}),
            ("execute_tool get_weather", {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_weather", "gen_ai.tool.call.id": "call_9", "gen_ai.tool.call.arguments": WEATHER_JSON, "gen_ai.tool.call.result": "Regen"}),
            ("execute_hook", {"gen_ai.operation.name": "execute_hook", "copilot_chat.hook_input": "{}", "copilot_chat.hook_output": '{"continue":true}'}),
        ],
    ),
    "haystack": (
        "haystack",
        [
            ("haystack.pipeline.run", {"haystack.pipeline.input_data": '{"prompt":{"question":"Regnet es?"}}', "haystack.pipeline.output_data": '{"llm":{"replies":["Ja."]}}'}),
            ("haystack.component.run", {"haystack.component.name": "llm", "haystack.component.type": "OpenAIChatGenerator", "haystack.component.input": as_json({"messages": [{"role": "user", "content": [{"text": "Regnet es?"}]}]}), "haystack.component.output": as_json({"replies": [{"role": "assistant", "content": [{"tool_call": {"id": "call_9", "tool_name": "get_weather", "arguments": WEATHER}}], "meta": {"model": "small-2026", "finish_reason": "tool_calls", "usage": {"prompt_tokens": 20, "completion_tokens": 4}}}]})}),
            ("haystack.component.run", {"haystack.component.name": "retriever", "haystack.component.type": "InMemoryBM25Retriever", "haystack.component.input": '{"query":"Regen"}', "haystack.component.output": as_json({"documents": [{"id": "d1", "content": "Regen", "score": 0.5}]})}),
            ("haystack.agent.run", {"haystack.agent.input": "Regnet es?", "haystack.agent.output": "Ja."}),
            ("haystack.agent.step.tool", {"haystack.tool.name": "get_weather", "haystack.agent.step.tool.input": WEATHER_JSON, "haystack.agent.step.tool.output": "kaputt", "haystack.tool.error": True}),
        ],
    ),
    "agentscope": (
        "agentscope",
        [
            ("invoke_agent forecaster", {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "forecaster", "gen_ai.conversation.id": "session-1"}),
            ("chat small", {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "small", "gen_ai.usage.input_tokens": 20, "gen_ai.usage.output_tokens": 4, "gen_ai.input.messages": PARTS_IN, "gen_ai.output.messages": PARTS_OUT, "agentscope.function.input": '{"messages":[]}'}),
            ("format OpenAIFormatter", {"gen_ai.operation.name": "format", "agentscope.format.input": "[]", "agentscope.format.output": "[]"}),
            ("invoke_generic_function score", {"gen_ai.operation.name": "invoke_generic_function", "agentscope.function.input": '{"a":1}', "agentscope.function.output": "42"}),
        ],
    ),
    "litellm": (
        "litellm",
        [
            ("litellm_request", {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "small", "gen_ai.response.model": "small-2026", "gen_ai.usage.prompt_tokens": 20, "gen_ai.usage.completion_tokens": 4, "gen_ai.usage.total_tokens": 24, "gen_ai.cost.total_cost": 0.001, "hidden_params": '{"response_cost": 0.001}', "metadata.user_api_key_user_id": "user-1", "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "Regnet es?", "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.finish_reason": "tool_calls", "gen_ai.completion.0.tool_calls.0.id": "call_9", "gen_ai.completion.0.tool_calls.0.name": "get_weather", "gen_ai.completion.0.tool_calls.0.arguments": WEATHER_JSON, "llm.request.functions.0.name": "get_weather", "llm.request.functions.0.parameters": '{"type":"object"}'}),
            ("guardrail", {"guardrail_name": "pii", "guardrail_mode": "pre_call"}),
        ],
    ),
    "portkey": (
        "custom.genai.instrumentation",
        [
            ("chat small", {"gen_ai.request.model": "small", "gen_ai.response.model": "small-2026", "gen_ai.provider.name": "openai", "gen_ai.response.input_tokens": 20, "gen_ai.response.output_tokens": 4, "gen_ai.response.finish_reasons": ["tool_calls"], "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "Regnet es?", "gen_ai.output.messages": as_json([{"role": "assistant", "content": None, "tool_calls": [CALL]}]), "gen_ai.tool.definitions": as_json([TOOL])}),
            ("small", {"ai_model": "small", "ai_org": "openai", "req_units": 20, "res_units": 4, "cost": 0.1, "request_method": "POST"}),
            ("small", {"gen_ai.request.model": "small", "gen_ai.prompt": as_json({"messages": [ASKED], "tools": [TOOL]}), "gen_ai.completion": as_json({"model": "small-2026", "choices": [{"message": {"role": "assistant", "tool_calls": [CALL]}, "finish_reason": "tool_calls"}], "usage": {"prompt_tokens": 20, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 8}, "completion_tokens_details": {"reasoning_tokens": 2}}})}),
        ],
    ),
    "llama_index": (
        "llamaindex.opentelemetry.tracer",
        [
            ("FunctionAgent.run", {"llamaindex.run_id": "run-1"}),
            ("FunctionAgent.parse_agent_output", {"llamaindex.run_id": "run-1", "llamaindex.step_name": "parse_agent_output"}),
            ("OpenAI.achat", {"llamaindex.run_id": "run-1"}),
            ("VectorIndexRetriever.retrieve", {}),
        ],
    ),
    "agentcore": (
        "",
        [
            ("InvokeAgentRuntime", {"aws.operation.name": "InvokeAgentRuntime", "aws.agent.id": "forecaster-1", "aws.resource.type": "AWS::BedrockAgentCore::Runtime", "session.id": "session-1", "latency_ms": 250}),
            ("invoke_agent forecaster", {"gen_ai.operation.name": "invoke_agent", "gen_ai.system": "strands-agents", "gen_ai.agent.name": "forecaster", "gen_ai.usage.input_tokens": 20, "gen_ai.usage.output_tokens": 4, "session.id": "session-1"}),
            ("InvokeCodeInterpreter", {"aws.operation.name": "InvokeCodeInterpreter", "toolsession.id": "tools-1", "aws.resource.type": "AWS::BedrockAgentCore::CodeInterpreter"}),
            ("CreateEvent", {"aws.operation.name": "CreateEvent", "memory.id": "memory-1", "actor.id": "user-1", "session.id": "session-1"}),
        ],
    ),
    "cloudflare": (
        "ai-gateway",
        [
            ("chat", {"gen_ai.request.model": "small", "gen_ai.model.provider": "openai", "gen_ai.usage.input_tokens": 20, "gen_ai.usage.output_tokens": 4, "gen_ai.usage.cost": 0.001, "gen_ai.prompt_json": as_json({"messages": [ASKED], "tools": [TOOL]}), "gen_ai.completion_json": as_json({"choices": [{"message": {"role": "assistant", "tool_calls": [CALL]}, "finish_reason": "tool_calls"}]})}),
        ],
    ),
    "mastra_first": (
        "weather-app",
        [
            ("agent.generate", {"agent.generate.argument.0": as_json("Regnet es?"), "agent.generate.argument.1": "{}", "agent.generate.result": as_json({"text": "Ja.", "usage": {"totalTokens": 24}}), "componentName": "forecaster", "runId": "run-1", "threadId": "session-1", "resourceId": "user-1"}),
            ("ai.generateText.doGenerate", {"ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "small", "ai.model.provider": "openai.chat", "ai.usage.promptTokens": 20, "ai.usage.completionTokens": 4, "ai.prompt.messages": as_json([ASKED]), "ai.response.text": "Ja."}),
        ],
    ),
    "arize": (
        "openinference.instrumentation.openai",
        [
            ("ChatCompletion", {"openinference.span.kind": "LLM", "llm.model_name": "small", "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "Regnet es?", "eval.correctness.label": "correct", "eval.correctness.score": 1.0, "eval.correctness.explanation": "Es regnet.", "eval.toxicity.label": "none"}),
        ],
    ),
    "loongsuite": (
        "loongsuite.instrumentation.dify",
        [
            ("workflow", {"gen_ai.span.kind": "ENTRY", "gen_ai.session.id": "session-1", "gen_ai.user.id": "user-1"}),
            ("chat small", {"gen_ai.span.kind": "LLM", "gen_ai.model_name": "small", "gen_ai.provider.name": "openai", "gen_ai.usage.input_tokens": 20, "gen_ai.usage.output_tokens": 4, "gen_ai.input.messages": PARTS_IN, "gen_ai.output.messages": PARTS_OUT}),
            ("get_weather", {"gen_ai.span.kind": "TOOL", "gen_ai.tool.name": "get_weather", "gen_ai.tool.call.arguments": WEATHER_JSON, "gen_ai.tool.call.result": "Regen"}),
        ],
    ),
    "langtrace": (
        "langtrace",
        [
            ("runnable", {"langtrace.service.type": "framework", "langtrace.service.name": "Langchain", "langchain.inputs": WEATHER_JSON, "langchain.outputs": "Ja."}),
            ("openai.chat.completions.create", {"langtrace.service.type": "llm", "langtrace.service.name": "OpenAI", "llm.model": "small", "llm.token.counts": as_json({"input_tokens": 20, "output_tokens": 4, "total_tokens": 24}), "llm.prompts": as_json([ASKED]), "llm.responses": as_json([SAID])}),
            ("chromadb.collection.query", {"langtrace.service.type": "vectordb", "langtrace.service.name": "Chroma", "db.query": "Regen"}),
        ],
    ),
    "n8n": (
        "n8n-core",
        [
            ("workflow.execute", {"n8n.workflow.id": "workflow-1", "n8n.workflow.name": "weather", "n8n.session.id": "session-1"}),
            ("node.execute", {"n8n.node.type": "@n8n/n8n-nodes-langchain.agent", "n8n.node.name": "forecaster", "n8n.node.input": "Regnet es?", "n8n.node.output": "Ja."}),
            ("node.execute", {"n8n.node.type": "@n8n/n8n-nodes-langchain.lmChatOpenAi", "n8n.node.name": "model"}),
            ("node.execute", {"n8n.node.type": "n8n-nodes-base.httpRequestTool", "n8n.node.name": "get_weather", "n8n.node.input": WEATHER_JSON, "n8n.node.output": "Regen"}),
        ],
    ),
    "traceroot": (
        "traceroot",
        [
            ("forecast", {"traceroot.span.type": "agent", "traceroot.trace.session_id": "session-1", "traceroot.trace.user_id": "user-1", "traceroot.span.input": "Regnet es?"}),
            ("small", {"traceroot.span.type": "llm", "traceroot.llm.model": "small", "gen_ai.usage.input_tokens": 20, "gen_ai.usage.output_tokens": 4, "traceroot.span.input": as_json([ASKED]), "traceroot.span.output": "Ja."}),
            ("get_weather", {"traceroot.span.type": "tool", "traceroot.span.input": WEATHER_JSON, "traceroot.span.output": "Regen"}),
        ],
    ),
    "vllm": (
        "vllm.llm_engine",
        [
            ("llm_request", {"gen_ai.response.model": "small", "gen_ai.request.id": "request-1", "gen_ai.usage.prompt_tokens": 20, "gen_ai.usage.completion_tokens": 4, "gen_ai.latency.time_to_first_token": 0.25, "gen_ai.latency.e2e": 0.5}),
        ],
    ),
    "unprefixed": (
        "my.app",
        [
            ("turn", {"openinference.span.kind": "AGENT", "cursor.agent_id": "agent-1", "cursor.run_id": "session-1", "user_id": "user-1"}),
            ("openai", {"openinference.span.kind": "LLM", "input.value": as_json({"model": "small", "messages": [ASKED]}), "output.value": as_json({"model": "small-2026", "choices": [{"message": {"role": "assistant", "tool_calls": [CALL]}, "finish_reason": "tool_calls"}], "usage": {"prompt_tokens": 20, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 8}, "completion_tokens_details": {"reasoning_tokens": 2}}})}),
            ("anthropic", {"openinference.span.kind": "LLM", "output.value": as_json({"model": "claude-small", "role": "assistant", "content": [{"type": "text", "text": "Ja."}], "stop_reason": "end_turn", "usage": {"input_tokens": 12, "output_tokens": 4, "cache_read_input_tokens": 8, "cache_creation_input_tokens": 2}})}),
            ("get_weather", {"openinference.span.kind": "TOOL", "input": WEATHER_JSON, "output": "Regen"}),
            ("thumbs", {"feedback.key": "thumbs", "feedback.score": 1, "feedback.comment": "Stimmt."}),
        ],
    ),
}  # fmt: skip
