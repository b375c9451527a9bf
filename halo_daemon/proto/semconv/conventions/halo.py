"""The keys of the canonical line itself, as a trusted exporter sends them."""

from typing import Final

from halo_daemon.proto.semconv import targets
from halo_daemon.proto.semconv.conventions.kinds import ON_OTHERS
from halo_daemon.proto.semconv.readers import COUNT, NUMBER, kinds
from halo_daemon.proto.semconv.rows import Convention, row

_OWN_KINDS: Final = {kind.lower(): kind for kind in sorted(targets.KINDS)}

HALO: Final = Convention(
    id="HALO",
    title="HALO / Catalyst",
    rank=10,
    rows=(
        row(targets.KIND, targets.KIND, "inference.observation.kind", read=kinds(_OWN_KINDS)),
        row(targets.PROVIDER, targets.PROVIDER),
        row(targets.MODEL, targets.MODEL),
        row(targets.INPUT_TOKENS, targets.INPUT_TOKENS, read=COUNT),
        row(targets.OUTPUT_TOKENS, targets.OUTPUT_TOKENS, read=COUNT),
        row(targets.CACHED_TOKENS, targets.CACHED_TOKENS, read=COUNT),
        row(targets.REASONING_TOKENS, targets.REASONING_TOKENS, read=COUNT),
        row(targets.COST, targets.COST, read=NUMBER),
        *(
            # A total that was set apart before is not asked for elsewhere again.
            row(target, aggregate, read=NUMBER if target == targets.COST else COUNT, only=ON_OTHERS)
            for target, aggregate in targets.AGGREGATES.items()
        ),
        row(targets.USER, targets.USER),
        row(targets.SESSION, targets.SESSION),
        row(targets.AGENT_NAME, targets.AGENT_NAME),
        row(targets.AGENT_ID, targets.AGENT_ID),
    ),
)
