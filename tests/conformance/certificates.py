"""Certificates for tests, made by the openssl command."""

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest


class Pair(NamedTuple):
    """A certificate and its key."""

    cert: Path
    key: Path


def _openssl(*arguments: str) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def make_authority(directory: Path, name: str) -> Pair:
    """A self-signed authority."""
    pair = Pair(directory / f"{name}.pem", directory / f"{name}.key")
    _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", "2", "-subj", f"/CN={name}", "-keyout", str(pair.key), "-out", str(pair.cert)),
    )
    return pair


def make_certificate(directory: Path, name: str, authority: Pair, *, days: int = 2) -> Pair:
    """A certificate for localhost and 127.0.0.1; expired where *days* is negative."""
    pair = Pair(directory / f"{name}.pem", directory / f"{name}.key")
    request, extensions = directory / f"{name}.csr", directory / f"{name}.ext"
    extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    _openssl(
        *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-subj", f"/CN={name}", "-keyout", str(pair.key), "-out", str(request)),
    )
    _openssl(
        *("x509", "-req", "-in", str(request), "-CA", str(authority.cert)),
        *("-CAkey", str(authority.key), "-CAcreateserial", "-days", str(days)),
        *("-extfile", str(extensions), "-out", str(pair.cert)),
    )
    return pair
