"""``halo-daemon init``: a configuration file to begin with, and what to do next."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from halo_daemon.cli.options import ConfigOption, said_before
from halo_daemon.cli.output import print_note, write_output
from halo_daemon.errors import ConfigError

FILE_NAME = "halo-daemon.yaml"
_WIDTH = 96
_HEAD = """\
# The configuration of halo-daemon: every key at its default. Take the `#` off what you change.
# Sizes and durations carry their unit: B KiB MiB GiB TiB, ms s m h d w.
# A text may hold ${env:NAME}, ${env:NAME:-fallback} or ${file:/path}.

version: 1
"""
_COLLECTOR = """\
exporters:
  otlphttp/halo:
    endpoint: http://127.0.0.1:4318
    compression: gzip
service:
  pipelines:
    traces:
      exporters: [otlphttp/halo]
"""


def init(
    ctx: typer.Context,
    *,
    collector: Annotated[
        bool, typer.Option("--collector", help="Print what a Collector needs instead.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Write ./halo-daemon.yaml with every key at its default; never overwrites."""
    if collector:
        print(_COLLECTOR, end="")
        return
    path = config or said_before(ctx).config or Path(FILE_NAME)
    if path.exists():
        print(f"already_exists: {path}")
        return
    if not path.parent.is_dir():
        raise ConfigError(
            f"cannot write {path}: there is no directory {path.parent}", hint="make it first"
        )
    write_output(template().encode(), path)
    print(path)
    print_note(
        "next: `halo-daemon serve`, and in the shell that runs your agent\n"
        "  export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318\n"
        "  export OTEL_RESOURCE_ATTRIBUTES=service.name=my-agent\n"
        "then `halo-daemon send --wait` and `halo-daemon analyze --since 24h`"
    )


def template() -> str:
    """Write the configuration as a file that changes nothing: every key, commented out."""
    return _HEAD + "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    from halo_daemon.config_keys import settings

    open_sections: list[str] = []
    for setting in settings():
        *sections, name = setting.key.split(".")
        # What may come several times is shown by the default of the list or mapping.
        if name == "version" or "[" in setting.key or "<" in setting.key:
            continue
        shared = 0
        while sections[shared : shared + 1] == open_sections[shared : shared + 1] != []:
            shared += 1
        if not shared:
            yield ""
        for depth in range(shared, len(sections)):
            yield f"# {'  ' * depth}{sections[depth]}:"
        open_sections = sections
        indent = "  " * len(sections)
        for line in textwrap.wrap(setting.sentence, _WIDTH - len(indent)):
            yield f"# {indent}# {line}"
        yield f"# {indent}{name}: {setting.default or 'null'}"
