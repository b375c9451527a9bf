"""One call of a tool: who called what with which arguments, and what came back."""

from hashlib import blake2b

from halo_daemon.analyzer.content import (
    Text,
    call_id_of_span,
    canonical_arguments,
    tool_arguments,
    tool_result,
)
from halo_daemon.analyzer.masking import mask_volatile
from halo_daemon.analyzer.signals import ErrorSignal
from halo_daemon.proto.span import Span

_VOLATILE_CHARS = 100
_BEGINNING_CHARS = 64
_NO_HEX = str.maketrans("", "", "0123456789abcdefABCDEF")


class ToolCall:
    """One TOOL span, or one call that messages tell of; its texts are as recorded."""

    __slots__ = (
        "_canonical",
        "_exact_result",
        "agent",
        "arguments",
        "is_told",
        "position",
        "result",
        "signal",
        "span",
        "tool",
        "turn",
    )

    def __init__(
        self,
        span: Span,
        *,
        agent: str,
        tool: str,
        signal: ErrorSignal | None,
        position: int,
        turn: int,
        is_told: bool = False,
    ) -> None:
        self.span = span
        self.agent = agent
        self.tool = tool
        """Masked name of the tool."""
        self.signal = signal
        self.position = position
        """Place among the tool calls of the trace, from 0."""
        self.turn = turn
        """LLM spans that had begun before the call."""
        self.is_told = is_told
        """Whether only messages tell of it, so that nobody knows when it ran and how long."""
        self.arguments: Text = tool_arguments(span)
        self.result: Text = tool_result(span)
        self._canonical: str | None = None
        self._exact_result: bytes | None = None

    @property
    def call_id(self) -> str:
        """The id by which a model asked for it; ``""`` when it is not recorded."""
        return call_id_of_span(self.span)

    @property
    def canonical(self) -> str:
        """Arguments in canonical form."""
        if self._canonical is None:
            self._canonical = canonical_arguments(self.arguments.value)
        return self._canonical

    @property
    def exact_result(self) -> bytes:
        """Digest of the result without its volatile parts; equal results have equal ones."""
        if self._exact_result is None:
            text = mask_volatile(self.result.value)
            digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16)
            self._exact_result = digest.digest()
        return self._exact_result

    def has_result_of(self, other: "ToolCall") -> bool:
        """Whether both calls came out the same, their volatile parts aside."""
        ours, theirs = self.result.value, other.result.value
        if ours == theirs:
            return True
        if abs(len(ours) - len(theirs)) >= _VOLATILE_CHARS or not _is_near(ours, theirs):
            return False
        return self.exact_result == other.exact_result


def _is_near(left: str, right: str) -> bool:
    """A cheap no: texts that differ in more than digits, unless ids without digits are about."""
    if "id" in left or "ID" in left or "Id" in left:
        return True
    begins, other_begins = (
        _without_hex(left[:_BEGINNING_CHARS]),
        _without_hex(right[:_BEGINNING_CHARS]),
    )
    if not (begins.startswith(other_begins) or other_begins.startswith(begins)):
        return False
    return _without_hex(left) == _without_hex(right)


def _without_hex(text: str) -> str:
    return text.translate(_NO_HEX)
