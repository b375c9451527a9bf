"""Agent frameworks that add to GenAI or OpenInference."""

from typing import Final

from halo_daemon.proto.semconv import listed, messages, targets
from halo_daemon.proto.semconv.conventions.kinds import (
    NOT_ON_LLMS,
    ON_AGENTS,
    ON_LLMS,
    ON_OTHERS,
    ON_TOOLS,
)
from halo_daemon.proto.semconv.readers import (
    CONTENT,
    COUNT,
    ERROR_WORD,
    REASONS,
    TEXT,
    Reader,
    always,
    at,
    kinds,
    matching,
    unless,
)
from halo_daemon.proto.semconv.rows import Convention, NameRow, row
from halo_daemon.proto.semconv.targets import AGENT, CHAIN, GUARDRAIL, LLM, RETRIEVER, TOOL

_ADK: Final = "gcp.vertex.agent"
_EMPTY: Final = frozenset({"{}", "N/A"})
_GIVEN: Final[Reader] = unless(_EMPTY, CONTENT)

SMOLAGENTS: Final = Convention(
    id="SM",
    title="smolagents",
    rank=60,
    prefixes=("smolagents.",),
    rows=(row(targets.WEAK_KIND, "smolagents.*", read=always(AGENT)),),
    names=(
        NameRow("*CodeAgent.run", AGENT),
        NameRow("*ToolCallingAgent.run", AGENT),
        NameRow("*MultiStepAgent.run", AGENT),
    ),
)

NAMED_RUNS: Final = Convention(
    id="SM",
    title="smolagents and Agno, whose spans are named after the agent",
    rank=55,
    names=(NameRow("*.run", AGENT), NameRow("*.arun", AGENT), NameRow("*.run_stream", AGENT)),
    rows=(),
    scopes=("openinference.instrumentation.smolagents", "openinference.instrumentation.agno"),
)

BEEAI: Final = Convention(
    id="BE",
    title="BeeAI",
    rank=60,
    rows=(
        row(
            targets.TOOL_NAME,
            "target",
            read=matching(r"tool\.(?:search\.)?(.+)\.[a-z_]+"),
            only=ON_TOOLS,
        ),
        row(targets.AGENT_NAME, "source", only=ON_AGENTS),
    ),
    scopes=("openinference.instrumentation.beeai",),
)

CREWAI: Final = Convention(
    id="CR",
    title="CrewAI",
    rank=60,
    prefixes=("crewai.", "crew_"),
    rows=(
        row(targets.SESSION, "kickoff_id"),
        row(targets.AGENT_NAME, "crewai.agent.role", "crewai.task.agent"),
        row(targets.AGENT_ID, "crewai.agent.key"),
        row(targets.TOOL_NAME, "crewai.tool.name", "tool_name", only=ON_TOOLS),
        row(
            targets.INPUT_VALUE,
            "crewai.crew.inputs",
            "crewai.flow.inputs",
            read=CONTENT,
            only=ON_OTHERS,
        ),
        row(
            targets.OUTPUT_VALUE,
            "crewai.crew.output",
            "crewai.flow.result",
            read=CONTENT,
            only=ON_OTHERS,
        ),
        *(
            row(target, "crewai.crew.usage_metrics", read=at(name, COUNT), only=ON_OTHERS)
            for target, name in (
                (targets.INPUT_TOKENS, "prompt_tokens"),
                (targets.OUTPUT_TOKENS, "completion_tokens"),
                (targets.CACHED_TOKENS, "cached_prompt_tokens"),
            )
        ),
    ),
    names=(
        NameRow("call llm", LLM),
        NameRow("call tool", TOOL),
        NameRow("execute mcp tool", TOOL),
        NameRow("Tool Usage", TOOL),
        NameRow("execute agent", AGENT),
        NameRow("evaluate guardrail", GUARDRAIL),
        NameRow("query knowledge", RETRIEVER),
        NameRow("search knowledge", RETRIEVER),
        NameRow("execute *", CHAIN),
        NameRow("call method", CHAIN),
        NameRow("query memory", CHAIN),
        NameRow("retrieve memory", CHAIN),
        NameRow("save memory", CHAIN),
        NameRow("agent reasoning", CHAIN),
        NameRow("Crew Created", CHAIN),
        NameRow("Task *", CHAIN),
        NameRow("Flow *", CHAIN),
    ),
    scopes=(
        "crewai",
        "openinference.instrumentation.crewai",
        "opentelemetry.instrumentation.crewai",
    ),
    signs=("crew_key", "crewai.*"),
)

AUTOGEN: Final = Convention(
    id="AG",
    title="AutoGen",
    rank=60,
    rows=(row(targets.KIND, "messaging.operation", read=always(CHAIN)),),
    scopes=("autogen",),
)

DSPY: Final = Convention(
    id="DY",
    title="DSPy, whose spans are named after the tool and the method called",
    rank=60,
    rows=(),
    names=(NameRow("*.__call__", TOOL), NameRow("*.acall", TOOL)),
    scopes=("openinference.instrumentation.dspy",),
)

ADK: Final = Convention(
    id="AD",
    title="Google ADK",
    rank=60,
    prefixes=("gcp.vertex.agent.",),
    rows=(
        row(targets.WEAK_KIND, f"{_ADK}.tool_call_args", read=unless(_EMPTY, always(TOOL))),
        row(targets.WEAK_KIND, f"{_ADK}.llm_request", read=unless(_EMPTY, always(LLM))),
        row(targets.MODEL, f"{_ADK}.llm_request", read=at("model", TEXT), only=ON_LLMS),
        row(
            targets.INPUT_TOKENS,
            f"{_ADK}.llm_response",
            read=at("usage_metadata.prompt_token_count", COUNT),
            only=ON_LLMS,
        ),
        row(
            targets.OUTPUT_TOKENS,
            f"{_ADK}.llm_response",
            read=at("usage_metadata.candidates_token_count", COUNT),
            only=ON_LLMS,
        ),
        row(
            targets.CACHED_TOKENS,
            f"{_ADK}.llm_response",
            read=at("usage_metadata.cached_content_token_count", COUNT),
            only=ON_LLMS,
        ),
        row(
            targets.REASONING_TOKENS,
            f"{_ADK}.llm_response",
            read=at("usage_metadata.thoughts_token_count", COUNT),
            only=ON_LLMS,
        ),
        row(
            targets.INPUT_MESSAGES,
            f"{_ADK}.llm_request",
            read=unless(_EMPTY, messages.INPUT),
            only=ON_LLMS,
        ),
        row(
            targets.OUTPUT_MESSAGES,
            f"{_ADK}.llm_response",
            read=unless(_EMPTY, at("content", messages.OUTPUT)),
            only=ON_LLMS,
        ),
        row(
            targets.FINISH_REASONS,
            f"{_ADK}.llm_response",
            read=at("finish_reason", REASONS),
            only=ON_LLMS,
        ),
        row(
            targets.TOOL_PARAMETERS,
            f"{_ADK}.tool_call_args",
            read=_GIVEN,
            only=ON_TOOLS,
        ),
        row(
            targets.INPUT_VALUE,
            f"{_ADK}.tool_call_args",
            f"{_ADK}.data",
            read=_GIVEN,
            only=NOT_ON_LLMS,
        ),
        row(
            targets.OUTPUT_VALUE,
            f"{_ADK}.tool_response",
            read=_GIVEN,
            only=ON_TOOLS,
        ),
        row(
            targets.TOOLS,
            f"{_ADK}.llm_request",
            read=at("config.tools", listed.TOOL_LIST),
            only=ON_LLMS,
        ),
        row(
            targets.INSTRUCTIONS,
            f"{_ADK}.llm_request",
            read=at("config.system_instruction", messages.SYSTEM),
            only=ON_LLMS,
        ),
        row(targets.SESSION, f"{_ADK}.session_id"),
    ),
    names=(
        NameRow("call_llm", LLM),
        NameRow("generate_content *", LLM),
        NameRow("agent_run [*", AGENT),
        NameRow("agent_run *", AGENT),
        NameRow("invocation", AGENT),
        NameRow("invoke_node *", CHAIN),
        NameRow("invoke_workflow *", CHAIN),
        NameRow("execute_tool *", TOOL),
    ),
    scopes=(_ADK, "openinference.instrumentation.google_adk"),
    signs=("gcp.vertex.agent.*",),
)

STRANDS: Final = Convention(
    id="ST",
    title="Strands",
    rank=60,
    prefixes=("event_loop.",),
    rows=(
        row(targets.TOOLS, "gen_ai.agent.tools", read=listed.TOOL_LIST, only=ON_LLMS),
        row(targets.FAILURE, "gen_ai.tool.status", "tool.status", read=ERROR_WORD),
    ),
    names=(NameRow("execute_event_loop_cycle", CHAIN),),
)

KOOG: Final = Convention(
    id="KO",
    title="JetBrains Koog",
    rank=60,
    prefixes=("koog.",),
    rows=(
        row(targets.WEAK_KIND, "koog.node.name", "koog.node.id", read=always(CHAIN)),
        row(
            targets.WEAK_KIND, "koog.agent.strategy.name", "koog.strategy.name", read=always(CHAIN)
        ),
        row(targets.INPUT_VALUE, "koog.node.input", read=CONTENT, only=NOT_ON_LLMS),
        row(targets.OUTPUT_VALUE, "koog.node.output", read=CONTENT, only=NOT_ON_LLMS),
    ),
)

_AGENTCORE: Final = {
    "invokeagentruntime": AGENT,
    "invokecodeinterpreter": TOOL,
    "createevent": CHAIN,
    "retrievememoryrecords": CHAIN,
}

AGENTCORE: Final = Convention(
    id="AC",
    title="Amazon Bedrock AgentCore, its service",
    rank=60,
    rows=(
        row(targets.WEAK_KIND, "aws.operation.name", read=kinds(_AGENTCORE)),
        row(targets.TOOL_NAME, "aws.operation.name", only=ON_TOOLS),
        row(targets.AGENT_ID, "aws.agent.id"),
        row(targets.USER, "actor.id"),
    ),
    signs=("aws.operation.name",),
)
