"""
Every error of the HALO agent, in HALO's words where HALO has one.

* AnalysisError
  - EngineError                     a run of the agent could not go on
    + EngineAgentExhaustedError       turns or failures ran out
    + EngineAgentRefusedError         the model refused more often than allowed
    + EngineMaxDepthExceededError     a sub-agent below the deepest level
    + EngineSandboxDeniedError        the sandbox refused an operation
    + EngineToolError                 a tool could not answer
    + EngineDependencyError           a program or package that a tool needs is missing
    + EngineBudgetExceededError       money, tokens, requests or time ran out
    + EngineProviderError             the provider did not answer usefully
      * ModelError                      one failed request, with what to do about it
    + JournalMismatchError            a journal belongs to another configuration or other data

The entry points raise only for bad configuration; all of these become the
reason of a partial run.
"""

from enum import StrEnum

from halo_daemon.errors import AnalysisError


class EngineError(AnalysisError):
    """A run of the agent could not go on."""


class EngineAgentExhaustedError(EngineError):
    """Turns or consecutive failures ran out."""


class EngineAgentRefusedError(EngineError):
    """The model refused more often than `refusal_retries` allows."""


class EngineMaxDepthExceededError(EngineError):
    """A sub-agent was asked for below `maximum_depth`."""


class EngineSandboxDeniedError(EngineError):
    """The sandbox refused an operation."""


class EngineToolError(EngineError):
    """
    A tool could not answer; the model reads the message.

    Attributes:
        retryable: Whether the same call can succeed later.
    """

    def __init__(self, message: str, *, hint: str = "", retryable: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.retryable = retryable


class EngineDependencyError(EngineError):
    """A program or package that a tool needs is missing."""


class EngineBudgetExceededError(EngineError):
    """
    A limit of the budget does not leave room for the next request.

    Attributes:
        reason: Which one: ``turns``, ``tokens``, ``usd``, ``seconds``, ``requests``.
    """

    def __init__(self, message: str, *, reason: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class EngineProviderError(EngineError):
    """The provider did not answer usefully."""


class Action(StrEnum):
    """What to do about a failed request."""

    RETRY = "retry"
    """The same request can succeed after a wait."""

    RETRY_ONCE = "retry_once"
    """A refusal without a reason; a second one is final."""

    RETRY_NOW = "retry_now"
    """The provider's limits were learnt; the adapted request can be sent at once."""

    SHRINK = "shrink"
    """The context is too long for the model."""

    WITHHOLD = "withhold"
    """A content filter objects, perhaps to the newest tool answer."""

    STOP = "stop"
    """No request of this run can succeed."""


class ModelError(EngineProviderError):
    """
    One failed request to a model.

    Attributes:
        action: What to do about it.
        reason: The word of the report for a run that ends by it.
        retry_after_s: How long the provider asks to wait; 0 when it does not say.
        window_tokens: The context window that the provider named; 0 when it did not.
    """

    def __init__(
        self,
        message: str,
        *,
        action: Action,
        reason: str = "provider",
        retry_after_s: float = 0.0,
        window_tokens: int = 0,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.action = action
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.window_tokens = window_tokens


class JournalMismatchError(EngineError):
    """A journal cannot be resumed or replayed: what it was written for has changed."""
