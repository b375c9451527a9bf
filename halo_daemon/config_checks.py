"""
What texts of the configuration must look like; each check returns the text or raises.

Every function raises ValueError with a message for people when the text is refused.
"""

import base64
import binascii
import ipaddress
import re
from datetime import UTC, datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import SecretStr

from halo_daemon.quantities import quoted

_MAX_CRON_CHARACTERS = 200
_CRON_FIELDS = 5
_CRON_WORDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_ANY_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9._\[\]:-]{1,255}")
_SECRET_PREFIX = "whsec_"  # noqa: S105 -- how every such secret begins, not a secret
_MIN_SECRET_BYTES, _MAX_SECRET_BYTES = 24, 64


def five_field_cron(expression: str) -> str:
    """Spell out ``@daily`` and its kin; other expressions come back as they are."""
    return _CRON_WORDS.get(expression.lower(), expression)


def signing_key(secret: str) -> bytes:
    """
    The key inside a Standard Webhooks secret, ``whsec_`` and base64 of 24 to 64 bytes.

    Raises:
        ValueError: it is none; the message does not repeat it.
    """
    encoded = secret.removeprefix(_SECRET_PREFIX)
    try:
        key = b"" if encoded == secret else base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if not key:
        raise ValueError("the secret is not `whsec_` and base64")
    if not _MIN_SECRET_BYTES <= len(key) <= _MAX_SECRET_BYTES:
        raise ValueError(
            f"the secret holds {len(key)} bytes, not {_MIN_SECRET_BYTES} to {_MAX_SECRET_BYTES}"
        )
    return key


def checked_cron(text: str) -> str:
    """Accept five fields, or ``@daily`` and its kin, that ever come due."""
    expression = five_field_cron(text)
    if len(expression) > _MAX_CRON_CHARACTERS or len(expression.split()) != _CRON_FIELDS:
        raise ValueError(f"{quoted(text)} is not a cron expression – write for example 0 3 * * *")
    try:
        next(CronSim(expression, _ANY_MOMENT))
    except (CronSimError, ValueError) as exc:
        reason = str(exc).lower() if isinstance(exc, CronSimError) else "a number is too large"
        raise ValueError(f"{quoted(text)} is not a cron expression: {reason}") from exc
    except StopIteration:
        raise ValueError(f"{quoted(text)} never fires") from None
    return text


def checked_time_zone(name: str) -> str:
    """Accept ``local``, ``UTC`` and the zones that this machine knows."""
    # These two are always there, also on a machine without a zone database.
    if name in {"local", "UTC"}:
        return name
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"{quoted(name)} is not a time zone – write for example UTC, local or Europe/Berlin"
        ) from None
    return name


def checked_name(text: str) -> str:
    """Accept up to 63 letters, digits, ``.``, ``_`` and ``-``."""
    if _NAME.fullmatch(text) is None:
        raise ValueError(f"{quoted(text)} is not a name of letters, digits, `.`, `_`, `-`")
    return text


def checked_header(text: str) -> str:
    """Accept a header's name, in lower case as gRPC sends it."""
    if _HEADER.fullmatch(text) is None:
        raise ValueError(f"{quoted(text)} is not a header's name")
    return text.lower()


def checked_origin(text: str) -> str:
    """Accept the origin of a web page: scheme, host and port, nothing after them."""
    if _ORIGIN.fullmatch(text) is None:
        raise ValueError(f"{quoted(text)} is not an origin – write for example https://app.example")
    return text


def not_blank(text: str) -> str:
    """Accept any text but white space."""
    if not text.strip():
        raise ValueError("is empty")
    return text


def checked_path(value: object) -> object:
    """Refuse texts that name no place."""
    if isinstance(value, str) and (not value.strip() or "\0" in value):
        raise ValueError(f"{quoted(value)} is not a path")
    return value


def checked_secret(secret: SecretStr) -> SecretStr:
    """Accept what `signing_key` can read."""
    signing_key(secret.get_secret_value())
    return secret


def is_loopback(host: str) -> bool:
    """Whether *host* names this machine without asking a resolver."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def shown_url(url: str) -> str:
    """
    *url* without its path and query, which often are what gives the right to post there.

    Whole where it has neither.
    """
    parts = urlsplit(url)
    rest = parts.path.strip("/") or parts.query or parts.fragment
    return f"{parts.scheme}://{parts.netloc}/…" if rest else url


def checked_url(text: str) -> str:
    """Accept an http or https URL with a host and without a user."""
    if not text.isascii() or re.search(r"[\x00-\x20\x7f\\]", text):
        raise ValueError("the URL holds spaces, control or other than ASCII characters")
    try:
        parts = urlsplit(text)
        has_user = parts.username is not None or parts.password is not None
        is_web = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError("is not a URL") from None
    if has_user:
        raise ValueError("a URL with user or password is refused")
    if not is_web:
        raise ValueError("is not an http or https URL with a host")
    return text
