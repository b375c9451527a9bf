"""What a run with a model would send and could cost, in words."""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from halo_daemon.cli.output import printable

if TYPE_CHECKING:
    from halo_daemon.analyzer.agent.explain import DryRun

_PLACE_IN_LIST = re.compile(r"\.[0-9]+(?=\.|$)")


def dry_run_lines(plan: "DryRun", *, provider: str = "") -> Iterator[str]:
    """One line for each thing to know; *provider* is where the model is asked, if that is told."""
    rows = (
        ("model", f"{plan.model} at {provider}" if provider else plan.model),
        ("traces", f"{plan.traces}, {plan.readable_bytes} bytes that tools could read"),
        (
            "first request",
            f"{plan.first_request_bytes} bytes, about {plan.first_request_tokens} tokens",
        ),
        ("budget", f"{_limit(plan.most_tokens, 'tokens')}, {_limit(plan.most_usd, 'dollars')}"),
        ("cost", plan.cost_note or "priced"),
        ("attributes", ", ".join(_unnumbered(plan.attributes))),
    )
    return (printable(f"{name:14} {value}") for name, value in rows)


def _limit(most: float | None, unit: str) -> str:
    return f"no limit of {unit}" if most is None else f"at most {most:,} {unit}"


def _unnumbered(keys: Iterable[str]) -> list[str]:
    """*keys* in order, places in lists as ``N``: a long run has hundreds of messages."""
    return list(dict.fromkeys(_PLACE_IN_LIST.sub(".N", key) for key in keys))
