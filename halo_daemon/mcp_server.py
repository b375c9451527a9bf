"""The Model Context Protocol over standard input and output; what is offered is decided elsewhere."""

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from halo_daemon import __version__
from halo_daemon.coding_agent import INSTRUCTIONS, CodingAgentTools
from halo_daemon.finding_tools import DECIDING


async def serve_stdio(tools: CodingAgentTools) -> None:
    """Answer one client until it closes standard input."""
    server = server_of(tools)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def server_of(tools: CodingAgentTools) -> Server[object]:
    """The server of *tools*, not yet connected to anything."""

    async def list_tools(
        _: ServerRequestContext[object], __: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(
            tools=[
                types.Tool(
                    name=schema.name,
                    description=schema.description,
                    input_schema=schema.parameters,
                    annotations=types.ToolAnnotations(
                        read_only_hint=schema.name not in DECIDING,
                        destructive_hint=False,
                        open_world_hint=False,
                    ),
                )
                for schema in tools.schemas
            ]
        )

    async def call_tool(
        _: ServerRequestContext[object], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        answer = await tools.answer(params.name, params.arguments or {})
        content = types.TextContent(text=answer.text)
        return types.CallToolResult(content=[content], is_error=answer.is_error)

    return Server(
        "halo-daemon",
        version=__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
