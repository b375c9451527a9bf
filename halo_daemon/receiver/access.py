"""
Who may send: keys, and the defence of a loopback listener against web pages.

A listener without keys trusts whoever reaches it. A browser on the same machine reaches
it too, for any page that points its own name at this address; such a request still
carries the page's name in ``Host``, which is why it is checked.
"""

from collections.abc import Callable, Iterable
from typing import Final

from halo_daemon.auth import ANY_PROJECT, IngestKey
from halo_daemon.config_checks import is_loopback
from halo_daemon.errors import ForbiddenError, UnauthenticatedError
from halo_daemon.proto.project import Project, slugify

FindKey = Callable[[str], IngestKey | None]
"""The key that a text is; None when it is none."""

_SCHEME: Final = "bearer"
# What containers call the machine they run on; no page can own this name.
_LOCAL_NAMES: Final = frozenset({"host.docker.internal"})


class KeyCheck:
    """
    Requires a key of every request.

    Args:
        find_key: Looks keys up; None lets everybody in.
    """

    def __init__(self, find_key: FindKey | None = None) -> None:
        self._find_key = find_key

    @property
    def is_open(self) -> bool:
        """Whether no key is asked for."""
        return self._find_key is None

    def admit(self, authorization: str | None, *, named_project: str | None) -> Project | None:
        """
        The one project that the request may write to; None when it may choose.

        Args:
            authorization: The header of that name.
            named_project: The project that the request's header names, if any.

        Raises:
            UnauthenticatedError: There is no key, or it is not known.
            ForbiddenError: The key is one of another project.
        """
        if self._find_key is None:
            return None
        key = self._find_key(_bearer_token(authorization))
        if key is None:
            raise UnauthenticatedError(
                "cannot take spans without a known key",
                hint="send the header `Authorization: Bearer <ingest key>`",
            )
        if key.project == ANY_PROJECT:
            return None
        if named_project and named_project.strip() and slugify(named_project) != key.project:
            raise ForbiddenError("cannot take spans for that project: the key is of another one")
        return Project(key.project, key.project)


def _bearer_token(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").strip().partition(" ")
    return token.strip() if scheme.lower() == _SCHEME else ""


class HostCheck:
    """
    Refuses requests that were addressed to another name than this machine's.

    Args:
        allowed: Further names, without port; ``*`` allows all.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = frozenset(name.lower() for name in allowed) | _LOCAL_NAMES

    def require(self, host: str | None) -> None:
        """
        Check the header ``Host``; a request without one comes from no browser.

        Raises:
            ForbiddenError: The name is neither loopback nor allowed.
        """
        if host is None or "*" in self._allowed:
            return
        name = _host_name(host)
        if name in self._allowed or name.endswith(".localhost") or is_loopback(name):
            return
        raise ForbiddenError(
            f"cannot answer for the host `{name[:100]}`",
            hint="use a loopback address, or add the name to `receivers.otlp.http.allowed_hosts`",
        )


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
