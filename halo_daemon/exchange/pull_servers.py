"""The servers that can be pulled from, and where their keys are found."""

import base64
from collections.abc import Mapping
from typing import Final

from halo_daemon.errors import ConfigError
from halo_daemon.exchange.pull_langfuse import LANGFUSE
from halo_daemon.exchange.pull_langsmith import LANGSMITH
from halo_daemon.exchange.pull_phoenix import PHOENIX
from halo_daemon.exchange.pulls import Puller

PULLERS: Final[dict[str, Puller]] = {
    puller.source: puller for puller in (PHOENIX, LANGFUSE, LANGSMITH)
}


def credentials(source: str, environ: Mapping[str, str]) -> dict[str, str]:
    """
    Headers with the key of a server, from the environment variables of its own tools.

    Empty where no variable is set: a server on this machine may ask for none.

    Raises:
        ConfigError: Half of a pair is set.
    """
    if source == PHOENIX.source:
        key = environ.get("PHOENIX_API_KEY", "")
        return {"authorization": f"Bearer {key}"} if key else {}
    if source == LANGSMITH.source:
        key = environ.get("LANGSMITH_API_KEY") or environ.get("LANGCHAIN_API_KEY", "")
        return {"x-api-key": key} if key else {}
    public, secret = environ.get("LANGFUSE_PUBLIC_KEY", ""), environ.get("LANGFUSE_SECRET_KEY", "")
    if bool(public) != bool(secret):
        raise ConfigError(
            "cannot pull from Langfuse: only one of its two keys is set",
            hint="set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY",
        )
    pair = base64.b64encode(f"{public}:{secret}".encode()).decode()
    return {"authorization": f"Basic {pair}"} if public else {}
