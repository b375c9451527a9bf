"""What was learnt of providers, kept between runs in a small file, for a week."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import orjson

from halo_daemon.analyzer.agent.capabilities import Capabilities
from halo_daemon.analyzer.agent.messages import as_object
from halo_daemon.proto.json_value import JsonObject

EXPIRY_NS = 7 * 24 * 3600 * 10**9
"""How long something learnt is believed; providers change."""

_MAX_PROVIDERS = 200


class CapabilityFile:
    """
    Capabilities by provider, in one JSON file that is replaced as a whole.

    A file that is missing or damaged is as good as an empty one, and one that
    cannot be written costs a few refused requests in the next run, nothing else.
    """

    def __init__(self, path: Path | None, now_unix_ns: Callable[[], int]) -> None:
        """
        Take a place.

        Args:
            path: The file; None keeps nothing.

            now_unix_ns: Wall clock.
        """
        self._path = path
        self._now_unix_ns = now_unix_ns
        self._known: dict[str, Capabilities] = {}

    def of(self, provider: str) -> Capabilities:
        """What is known of *provider*; the same object each time, to be learnt into."""
        if provider not in self._known:
            entry = as_object(self._read().get(provider))
            at = entry.get("at_unix_ns")
            is_fresh = isinstance(at, int) and 0 <= self._now_unix_ns() - at < EXPIRY_NS
            learnt = as_object(entry.get("learnt")) if is_fresh else {}
            self._known[provider] = Capabilities.from_json(learnt)
        return self._known[provider]

    def save(self) -> None:
        """Write what was learnt in this run, if anything was."""
        changed = {name: known for name, known in self._known.items() if known.new}
        if self._path is None or not changed:
            return
        entries = self._read()
        for name, known in changed.items():
            entries[name] = {"at_unix_ns": self._now_unix_ns(), "learnt": known.to_json()}
        newest = dict(list(entries.items())[-_MAX_PROVIDERS:])
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(orjson.dumps(newest, option=orjson.OPT_INDENT_2))
            temporary.replace(self._path)

    def _read(self) -> JsonObject:
        if self._path is None:
            return {}
        try:
            return as_object(orjson.loads(self._path.read_bytes()))
        except (OSError, orjson.JSONDecodeError):
            return {}
