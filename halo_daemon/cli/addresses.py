"""Whether an address can be listened on."""

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from halo_daemon.quantities import Endpoint


def why_taken(endpoint: "Endpoint") -> str:
    """Why *endpoint* cannot be bound; ``""`` when it can."""
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(endpoint)
    except OSError as exc:
        return exc.strerror or str(exc)
    return ""
