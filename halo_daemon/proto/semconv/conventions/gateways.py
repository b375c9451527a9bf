"""Gateways to models, which record what passes through them: LiteLLM and Portkey."""

from typing import Final

from halo_daemon.proto.semconv import targets
from halo_daemon.proto.semconv.readers import COUNT, NUMBER, always, at, containing
from halo_daemon.proto.semconv.rows import Convention, NameRow, row
from halo_daemon.proto.semconv.targets import EMBEDDING, GUARDRAIL, LLM, RERANKER

LITELLM: Final = Convention(
    id="LL",
    title="LiteLLM",
    rank=60,
    prefixes=("litellm.", "hidden_params"),
    rows=(
        row(targets.WEAK_KIND, "litellm.guardrail.name", "guardrail_name", read=always(GUARDRAIL)),
        row(targets.COST, "litellm.cost.total", "litellm.cost.usd", read=NUMBER),
        row(targets.COST, "hidden_params", read=at("response_cost", NUMBER)),
        row(
            targets.USER,
            "litellm.end_user.id",
            "metadata.user_api_key_end_user_id",
            "metadata.user_api_key_user_id",
        ),
    ),
    names=(NameRow("litellm_request", LLM), NameRow("raw_gen_ai_request", LLM)),
)

_MODELS: Final = {
    "embed": EMBEDDING,
    "Embed": EMBEDDING,
    "rerank": RERANKER,
    "Rerank": RERANKER,
}

PORTKEY: Final = Convention(
    id="PK",
    title="Portkey",
    rank=60,
    prefixes=("portkey.",),
    rows=(
        # What a model was called for is told by its name alone.
        row(targets.WEAK_KIND, "ai_model", read=containing(_MODELS)),
        # Its cost is in cents, and not taken.
        row(targets.MODEL, "ai_model"),
        row(targets.PROVIDER, "ai_provider", "ai_org"),
        row(targets.INPUT_TOKENS, "req_units", read=COUNT),
        row(targets.OUTPUT_TOKENS, "res_units", read=COUNT),
    ),
    names=(NameRow("portkey.guardrail.*", GUARDRAIL),),
    scopes=("portkey",),
    signs=("req_units", "res_units"),
)
