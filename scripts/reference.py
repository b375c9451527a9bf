"""
Generate the reference pages of the configuration and of the command line.

``python -m scripts.reference`` writes them; ``--check`` only compares, and fails
where a page on disk is not what the model, or the commands, say.
"""

import sys
from pathlib import Path

from halo_daemon.config_keys import Setting, settings
from scripts.cli_reference import render_cli_page

_DIRECTORY = Path(__file__).parents[1] / "docs" / "reference"
PAGE = _DIRECTORY / "configuration.md"
CLI_PAGE = _DIRECTORY / "cli.md"

_INTRODUCTION = """\
# Configuration reference

Every key of the configuration file, generated from the model by `python -m scripts.reference`.
The file [`config/halo-daemon.yaml`](../../config/halo-daemon.yaml) shows all of them with their defaults.

## Where values come from

A command-line flag wins over the environment, the environment over the file, the file over the default.

- The file is `--config PATH`, else `$HALO_DAEMON_CONFIG`, else `./halo-daemon.yaml`,
  else `halo-daemon/config.yaml` in `$XDG_CONFIG_HOME` or `~/.config`, else `/etc/halo-daemon/config.yaml`.
- `HALO_DAEMON__STORAGE__MIN_FREE=1GiB` in the environment sets `storage.min_free`.
- A text may hold `${env:NAME}`, `${env:NAME:-fallback}` or `${file:/path}`; `$${` writes `${`.

A size is whole digits and one of `B KiB MiB GiB TiB`, a duration whole digits and one of `ms s m h d w`.
An unknown key is an error.
All mistakes are told at once, each as `file:line:column: key: message`.
"""


def render_page() -> str:
    """The whole page: one section per top-level key, one table row per key."""
    sections: dict[str, list[Setting]] = {}
    for setting in settings():
        first = setting.key.split(".")[0]
        sections.setdefault(first if "." in setting.key else "", []).append(setting)
    parts = [_INTRODUCTION]
    for name, rows in sections.items():
        heading = f"## `{name}`" if name else "## Top level"
        table = [
            "| Key | Takes | Default | Meaning |",
            "|---|---|---|---|",
            *(_row(row) for row in rows),
        ]
        parts.append("\n".join((heading, "", *table, "")))
    return "\n".join(parts)


def _row(setting: Setting) -> str:
    default = f"`{setting.default}`" if setting.default else ""
    cells = (
        f"`{setting.key}`",
        setting.kind,
        "required" if setting.is_required else default,
        setting.sentence,
    )
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def main(arguments: list[str]) -> int:
    """Write or check the pages; 1 when a check finds a difference."""
    status = 0
    for path, page in ((PAGE, render_page()), (CLI_PAGE, render_cli_page())):
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(page, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != page:
            print(f"{path} is out of date: run python -m scripts.reference", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
