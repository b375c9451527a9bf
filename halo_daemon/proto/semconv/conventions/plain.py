"""What OpenTelemetry's general conventions say of any span."""

from typing import Final

from halo_daemon.proto.semconv import targets
from halo_daemon.proto.semconv.conventions.kinds import ON_TOOLS
from halo_daemon.proto.semconv.readers import CONTENT, HTTP_STATUS, STATED, TRUE, always, kinds
from halo_daemon.proto.semconv.rows import Convention, NameRow, row
from halo_daemon.proto.semconv.targets import PROMPT, RETRIEVER, TOOL

_MCP: Final = {"tools/call": TOOL, "prompts/get": PROMPT, "resources/read": RETRIEVER}

PLAIN: Final = Convention(
    id="PL",
    title="OpenTelemetry, general",
    rank=90,
    prefixes=("mcp.", "error."),
    rows=(
        row(targets.KIND, "mcp.method.name", read=kinds(_MCP)),
        row(targets.WEAK_KIND, "tool.name", read=always(TOOL)),
        row(targets.TOOL_NAME, "mcp.tool.name", only=ON_TOOLS),
        row(
            targets.TOOL_PARAMETERS,
            "mcp.request.argument",
            "mcp.tool.arguments",
            read=CONTENT,
            only=ON_TOOLS,
        ),
        row(
            targets.INPUT_VALUE,
            "mcp.request.argument",
            "mcp.tool.arguments",
            read=CONTENT,
            only=ON_TOOLS,
        ),
        row(
            targets.OUTPUT_VALUE,
            "mcp.response.value",
            "mcp.tool.result",
            read=CONTENT,
            only=ON_TOOLS,
        ),
        row(targets.SESSION, "mcp.session.id"),
        row(targets.USER, "user.id", "enduser.id"),
        row(targets.FAILURE, "error.type", "error.message", read=STATED),
        row(targets.FAILURE, "http.response.status_code", "http.status_code", read=HTTP_STATUS),
        row(
            targets.FAILURE, "mcp.tool.is_error", "mcp.isError", "tool.is_error", "error", read=TRUE
        ),
    ),
    names=(NameRow("tools/call *", TOOL),),
)
