"""The prompts, as files of this package."""

from functools import cache
from importlib.resources import files


@cache
def load_prompt(name: str) -> str:
    """The text of ``prompts/<name>.md``, without white space at its ends."""
    path = files("halo_daemon.analyzer.agent").joinpath("prompts", f"{name}.md")
    return path.read_text("utf-8").strip()
