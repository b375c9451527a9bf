"""What a rule is: a name, a version and a pure function of one trace."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from halo_daemon.analyzer.observation import RuleOutput
from halo_daemon.analyzer.trace_view import TraceView

Check = Callable[[TraceView], RuleOutput]


@dataclass(frozen=True)
class Rule:
    """One detector; *check* neither keeps nor shares anything between traces."""

    name: str
    version: int
    unit: str
    """What `RuleOutput.checked` counts."""
    check: Check
    needs_whole: bool = False
    """Whether it concludes from what is not there, and so cannot look at a part of a trace."""

    @cached_property
    def id(self) -> str:
        """Name and version, as in ``tool_error@1``."""
        return f"{self.name}@{self.version}"
