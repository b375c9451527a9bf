"""Which web pages may send spans: by explicit origin, and none by default."""

from collections.abc import Iterable

_MAX_AGE_S = 7200
_REQUEST_HEADERS = "content-type, content-encoding, authorization, x-project-name"

Headers = tuple[tuple[str, str], ...]


class Cors:
    """
    Answers the questions of browsers.

    Args:
        origins: Origins that are allowed, such as ``https://app.example``, compared as
            they are; a wildcard is none.
    """

    def __init__(self, origins: Iterable[str] = ()) -> None:
        self._origins = frozenset(origins)

    def allows(self, origin: str | None) -> bool:
        """Whether a page of *origin* may send."""
        return origin is not None and origin in self._origins

    def headers(self, origin: str | None) -> Headers:
        """What an answer to *origin* says; nothing when it is not allowed."""
        if origin is None or origin not in self._origins:
            return ()
        return (("access-control-allow-origin", origin), ("vary", "origin"))

    def preflight_headers(self) -> Headers:
        """What the answer to an allowed preflight says besides."""
        return (
            ("access-control-allow-methods", "POST"),
            ("access-control-allow-headers", _REQUEST_HEADERS),
            ("access-control-max-age", str(_MAX_AGE_S)),
        )
