"""``halo-daemon doctor``: is everything there that a daemon needs; reports only."""

import json
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from halo_daemon.cli import exit_codes, formats
from halo_daemon.cli.addresses import why_taken
from halo_daemon.cli.options import ConfigOption, DataOption, JsonOption, load_settings
from halo_daemon.cli.output import print_error, printable
from halo_daemon.errors import ConfigError

if TYPE_CHECKING:
    from halo_daemon.config import Config


class Check(NamedTuple):
    """One thing looked at: fine, absent but not needed, or in the way."""

    name: str
    state: str
    """``ok``, ``off`` or ``trouble``."""
    detail: str
    hint: str = ""


def doctor(
    ctx: typer.Context,
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Look at configuration, ports, disk, patterns, sandbox and model; exits 1 on trouble."""
    try:
        loaded = load_settings(ctx, config=config, data=data)
    except ConfigError as exc:
        print_error(exc)
        raise typer.Exit(exit_codes.FAILED) from None
    checks = [
        Check("python", "ok", platform.python_version()),
        Check(
            "configuration", "ok", f"{loaded.path or 'defaults'}, {len(loaded.warnings)} warnings"
        ),
        *_machine(loaded.config),
        *_options(loaded.config),
    ]
    if as_json:
        rows = [check._asdict() for check in checks]
        print(json.dumps({"schema": "halo.doctor/v1", "checks": rows}))
    else:
        for check in checks:
            hint = f"  Try: {check.hint}" if check.hint else ""
            print(printable(f"{check.state:8}{check.name:16}{check.detail}{hint}"))
    if any(check.state == "trouble" for check in checks):
        raise typer.Exit(exit_codes.FAILED)


def _machine(config: "Config") -> Iterator[Check]:
    otlp = config.receivers.otlp
    holder = _holder(config.data.dir)
    yield _data(config)
    for name, endpoint in (("grpc port", otlp.grpc.endpoint), ("http port", otlp.http.endpoint)):
        taken = why_taken(endpoint)
        if not taken:
            yield Check(name, "ok", f"{endpoint} is free")
        elif holder:
            yield Check(name, "ok", f"{endpoint} is in use; the daemon runs as {holder}")
        else:
            yield Check(
                name, "trouble", f"cannot bind {endpoint}: {taken}", "stop what listens there"
            )


def _data(config: "Config") -> Check:
    import os

    from halo_daemon.errors import StorageUnavailableError
    from halo_daemon.store.disk import Disk, require_free

    place = config.data.dir
    while not place.exists() and place != place.parent:
        place = place.parent
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        return Check("data directory", "trouble", f"cannot write to {place}", "choose --data")
    disk = Disk()
    try:
        require_free(disk, place, min_free_bytes=config.storage.min_free_bytes)
    except StorageUnavailableError as exc:
        return Check("data directory", "trouble", str(exc), exc.hint)
    free = formats.size(disk.free_bytes(place))
    return Check("data directory", "ok", f"{config.data.dir}, {free} free")


def _holder(root: Path) -> str:
    """Who runs on this data directory, as its lock says; ``""`` for nobody."""
    from halo_daemon.store.paths import DataPaths

    try:
        return DataPaths(root).lock.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _options(config: "Config") -> Iterator[Check]:
    import os
    from importlib.util import find_spec

    from halo_daemon.analyzer.agent.sandbox import SandboxSettings, why_unavailable

    has_patterns = find_spec("re2") is not None
    yield (
        Check("patterns", "ok", "RE2")
        if has_patterns
        else Check("patterns", "off", "no RE2 here: pattern searches say so")
    )
    missing = why_unavailable(SandboxSettings())
    yield Check("sandbox", "off" if missing else "ok", missing or "run_code can be offered")
    model = config.models.default
    is_known = bool(model.base_url or os.environ.get("OPENAI_BASE_URL"))
    if model.api_key or os.environ.get("OPENAI_API_KEY") or is_known:
        yield Check("model", "ok", f"{model.model}, set up but not called")
    else:
        yield Check("model", "off", "no key: the builtin engine needs none")
    for name, target in config.notify.targets.items():
        yield Check(f"notify {name}", "ok", f"{target.type}, set up but not called")
