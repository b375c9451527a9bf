"""How an agent ends: the `final_answer` tool, accepted once."""

from collections.abc import Awaitable, Callable

from pydantic import Field, JsonValue

from halo_daemon.analyzer.agent.arguments import ToolArguments
from halo_daemon.analyzer.agent.errors import EngineToolError
from halo_daemon.analyzer.agent.messages import ToolCall
from halo_daemon.analyzer.agent.toolbox import Tool
from halo_daemon.proto.json_value import JsonObject

FINAL_ANSWER = "final_answer"
FINAL_MARK = "<final/>"
"""In a text, says that the text is the answer; understood for prompts that use it."""

RecordFinding = Callable[[JsonValue], Awaitable[str]]
"""Records a finding as the model wrote it; returns what is wrong with it, else ``""``."""


class FinalAnswerArguments(ToolArguments):
    """End your work with this answer. Nothing you call afterwards is run."""

    answer: str = Field(min_length=1)
    """The whole answer for the reader, in Markdown, with [span:<trace_id>:<span_id>] citations."""

    findings: list[JsonValue] = Field(default_factory=list)
    """Findings that were not recorded yet, each in the form of `record_finding`."""

    questions: list[str] = Field(default_factory=list)
    """What a person should answer."""

    not_looked_at: list[str] = Field(default_factory=list)
    """What was left out, and why."""


class FinalAnswer:
    """The end of one agent: what was accepted, and the tool that accepts it."""

    def __init__(self, record: RecordFinding) -> None:
        self.accepted: FinalAnswerArguments | None = None
        self._record = record
        self._told_problems = False

    @property
    def tool(self) -> Tool[FinalAnswerArguments]:
        """The tool to offer."""
        return Tool(
            FINAL_ANSWER, FinalAnswerArguments, self._accept, is_wrapped=False, is_pure=False
        )

    def accept_text(self, text: str) -> None:
        """Take a text for the answer."""
        self.accepted = FinalAnswerArguments(answer=text or "(no text)")

    async def _accept(self, arguments: FinalAnswerArguments, _: ToolCall) -> JsonObject:
        if not arguments.answer.strip():
            raise EngineToolError("cannot finish: `answer` is empty", retryable=True)
        told = [await self._record(finding) for finding in arguments.findings]
        problems = [problem for problem in told if problem]
        if problems and not self._told_problems:
            self._told_problems = True
            raise EngineToolError(
                f"cannot finish yet: {'; '.join(problems)}",
                hint="the other findings are recorded; mend these, or finish again without them",
                retryable=True,
            )
        self.accepted = arguments
        return {"acknowledged": True, "problems": [*problems]}
