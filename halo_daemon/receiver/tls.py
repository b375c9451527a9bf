"""
Certificates that can be replaced while the listeners run.

New connections use what the files hold now; those that are open go on. A file that
cannot be used is reported and the certificate before it stays in use.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path

from halo_daemon.errors import ConfigError

Signature = tuple[tuple[int, int, int], ...]
"""What changes whenever one of the files does."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where certificate and key lie, in PEM."""

    cert: Path
    key: Path
    client_ca: Path | None = None
    """Where given, clients must show a certificate that it signed."""

    def signature(self) -> Signature:
        """
        The state of the files; a missing one has a state too.

        Compared only with what this method gave before.
        """
        return tuple(_state(path) for path in (self.cert, self.key, self.client_ca) if path)


class TlsContent:
    """The content of the files, read at one moment and found usable."""

    def __init__(self, files: TlsFiles) -> None:
        """
        Read and check the files.

        Raises:
            ConfigError: One is missing, is no PEM, or the key is of another certificate.
        """
        self.context = server_context(files)
        try:
            self.cert = files.cert.read_bytes()
            self.key = files.key.read_bytes()
            self.client_ca = files.client_ca.read_bytes() if files.client_ca else None
        except OSError as exc:
            raise _unusable(files, exc) from exc


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """
    A context for listening: TLS 1.2 or newer, client certificates where asked for.

    Raises:
        ConfigError: The files cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(files.cert, files.key)
        if files.client_ca is not None:
            context.load_verify_locations(files.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as exc:
        raise _unusable(files, exc) from exc
    return context


def _state(path: Path) -> tuple[int, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return (0, 0, 0)
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)


def _unusable(files: TlsFiles, cause: Exception) -> ConfigError:
    return ConfigError(
        f"cannot use the certificate {files.cert} with the key {files.key}: {cause}",
        hint="check `receivers.otlp.tls`; all files are PEM and must be readable",
    )
