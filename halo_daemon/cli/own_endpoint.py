"""The running daemon's HTTP listener, as a command on the same machine reaches it."""

import http.client
import ssl
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from halo_daemon.config import Config

_SEEN_FROM_HERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- a client's view of it


def host_of(config: "Config") -> str:
    """The host of the HTTP listener, as seen from this machine."""
    host = config.receivers.otlp.http.endpoint.host
    return _SEEN_FROM_HERE.get(host, host)


def connection_to(config: "Config", *, timeout_s: float) -> http.client.HTTPConnection:
    """
    A connection that is not opened yet; over TLS where the listeners speak it.

    The daemon's own certificate is the only one that is trusted. Where clients must show
    one, it is shown as theirs, which works when their authority signed it too.

    Raises:
        OSError: The certificate cannot be read.
    """
    otlp = config.receivers.otlp
    host = host_of(config)
    port = otlp.http.endpoint.port
    if otlp.tls.pair is None:
        return http.client.HTTPConnection(host, port, timeout=timeout_s)
    cert, key = otlp.tls.pair
    context = ssl.create_default_context(cafile=cert)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # The certificate names the host that others know; here only the key pair matters.
    context.check_hostname = False
    if otlp.tls.client_ca_file is not None:
        context.load_cert_chain(cert, key)
    return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
