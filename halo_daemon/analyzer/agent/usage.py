"""Token counts in each place where providers report them, and the prices of models."""

from collections.abc import Mapping
from dataclasses import dataclass

from halo_daemon.analyzer.agent.messages import Usage, as_object
from halo_daemon.proto.json_value import JsonObject, JsonValue

_INPUT_KEYS = ("prompt_tokens", "input_tokens")
_OUTPUT_KEYS = ("completion_tokens", "output_tokens")
_CACHED_PATHS = (
    ("prompt_tokens_details", "cached_tokens"),
    ("input_tokens_details", "cached_tokens"),
    ("prompt_cache_hit_tokens",),
    ("cache_read_input_tokens",),
    ("cached_tokens",),
)
_REASONING_PATHS = (
    ("completion_tokens_details", "reasoning_tokens"),
    ("output_tokens_details", "reasoning_tokens"),
    ("reasoning_tokens",),
)


def read_usage(value: JsonValue, *, answer_is_empty: bool) -> Usage | None:
    """
    Read a ``usage`` object of either API.

    Returns:
        None when it says nothing that can be believed: absent, not numbers,
        negative, or zero for an answer that is not empty. A total alone counts
        as input and is flagged as an estimate.
    """
    fields = as_object(value)
    input_tokens = _first_count(fields, [(key,) for key in _INPUT_KEYS])
    output_tokens = _first_count(fields, [(key,) for key in _OUTPUT_KEYS])
    if input_tokens is None and output_tokens is None:
        total_tokens = _first_count(fields, [("total_tokens",)])
        return Usage(input_tokens=total_tokens, estimated=True) if total_tokens else None
    if not input_tokens and not (answer_is_empty and not output_tokens):
        return None
    return Usage(
        input_tokens=input_tokens or 0,
        output_tokens=output_tokens or 0,
        cached_input_tokens=min(_first_count(fields, _CACHED_PATHS) or 0, input_tokens or 0),
        reasoning_tokens=_first_count(fields, _REASONING_PATHS) or 0,
    )


def _first_count(
    fields: JsonObject, paths: list[tuple[str, ...]] | tuple[tuple[str, ...], ...]
) -> int | None:
    for path in paths:
        value: JsonValue = fields
        for key in path:
            value = as_object(value).get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return None


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, in US dollars for a million tokens."""

    input_usd: float
    output_usd: float
    cached_input_usd: float | None = None
    """None charges cached tokens like the others."""

    def cost_usd(self, usage: Usage) -> float:
        """What *usage* costs."""
        cached_usd = self.input_usd if self.cached_input_usd is None else self.cached_input_usd
        fresh_tokens = usage.input_tokens - usage.cached_input_tokens
        millionths = (
            fresh_tokens * self.input_usd
            + usage.cached_input_tokens * cached_usd
            + usage.output_tokens * self.output_usd
        )
        return millionths / 1e6


Prices = Mapping[str, Price]
"""Prices by the beginning of a model's name."""


def price_of(model: str, prices: Prices) -> Price | None:
    """
    The price under the longest name that *model* begins with; None when unknown.

    A provider's prefix (``openai/``) does not count.
    """
    bare = model.rsplit("/", 1)[-1]
    names = [name for name in prices if bare.startswith(name) or model.startswith(name)]
    return prices[max(names, key=len)] if names else None
