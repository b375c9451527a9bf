"""The seam between the agent and whatever completes a conversation."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from halo_daemon.analyzer.agent.messages import Message, ToolSchema, Usage

TextSink = Callable[[str], None]
"""Receives the text of an answer piece by piece, in order."""


def discard_text(_: str) -> None:
    """A `TextSink` for callers that only want the whole answer."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One request: the whole conversation and what may be called."""

    messages: tuple[Message, ...]
    tools: tuple[ToolSchema, ...] = ()
    force_tool: str = ""
    """The one tool that must be called; ``""`` leaves the choice to the model."""

    max_output_tokens: int | None = None
    output_lift: int = 0
    """How often the room for an answer is doubled where no limit is configured."""

    timeout_s: float = 600.0


class Finish(StrEnum):
    """How an answer ended."""

    DONE = "done"
    LENGTH = "length"
    FILTERED = "filtered"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ModelReply:
    """One complete answer."""

    message: Message
    finish: Finish = Finish.DONE
    usage: Usage | None = None
    """None when the provider reported nothing usable."""

    reasoning: str = ""
    request_id: str = ""


class ChatModel(Protocol):
    """
    Completes conversations.

    - One call is one request: no retries, no waiting, no memory of conversations.
    - The answer is complete: a cut stream is a `ModelError`, never a short answer.
    - Limits of the provider (parameters that it refuses) may be remembered; the
      request that taught them fails with `Action.RETRY_NOW`.
    - Safe to call from many tasks of one event loop at the same time.
    """

    @property
    def label(self) -> str:
        """The model's name and where it is served, for messages and journals."""

    @property
    def parameters_dropped(self) -> tuple[str, ...]:
        """Parameters that the provider refused, sorted; empty when none."""

    async def complete(self, request: ModelRequest, *, on_text: TextSink) -> ModelReply:
        """
        Complete *request*.

        Raises:
            ModelError: The request failed; its ``action`` says what to do.
        """

    async def aclose(self) -> None:
        """Close connections; the model is not used afterwards. Idempotent."""
