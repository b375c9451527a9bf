"""
Compiles the modules that touch every span, where a build asks for it.

``HALO_DAEMON_COMPILE=1 pip install .`` turns the modules listed in pyproject.toml into
extension modules with mypyc, beside their sources, from which they differ in speed alone;
``debug`` compiles faster, and what comes out is slower. Without the variable, and for an
editable install, the wheel is pure Python: a source that was edited is what runs.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SWITCH = "HALO_DAEMON_COMPILE"
LEVELS = {"": None, "0": None, "1": "2", "debug": "0"}
"""Values of the switch: the C compiler's optimization level, None for pure Python."""

_SETUP = """
import sys
from mypyc.build import mypycify
from setuptools import setup
modules = mypycify(
    ["--config-file=pyproject.toml", *sys.argv[3:]], opt_level=sys.argv[2], debug_level="0"
)
build = ["build_ext", "--build-lib", sys.argv[1]]
setup(name="compiled", packages=[], ext_modules=modules, script_args=build)
"""


class CompileHook(BuildHookInterface):  # type: ignore[type-arg]
    """Hatch's hook; ``modules`` and ``interpreted`` are globs of sources in its table."""

    def dependencies(self) -> list[str]:
        """
        Return what compiling needs at build time; nothing where it is not asked for.

        What the package depends on is among it: mypyc reads the types of these.
        """
        if self._level() is None:
            return []
        return [*self.config["requires"], *self.metadata.core.dependencies]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile into a directory of its own, and add what comes out to the wheel."""
        level = self._level()
        if version == "editable" or level is None:
            return
        self._work = tempfile.mkdtemp(prefix="halo-daemon-compile-")
        libraries = _compiled(Path(self.root), Path(self._work), self._sources(), level)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["force_include"].update(libraries)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the directory that was compiled in."""
        if work := getattr(self, "_work", None):
            shutil.rmtree(work, ignore_errors=True)

    def _level(self) -> str | None:
        wish = os.environ.get(SWITCH, "")
        if wish not in LEVELS:
            raise ValueError(f"{SWITCH}={wish!r} is none of {', '.join(LEVELS)}")
        return LEVELS[wish]

    def _sources(self) -> list[str]:
        root = Path(self.root)
        found = {p for pattern in self.config["modules"] for p in root.glob(pattern)}
        found -= {p for pattern in self.config["interpreted"] for p in root.glob(pattern)}
        # In one order: what mypy infers through a cycle of imports depends on it.
        return sorted(p.relative_to(root).as_posix() for p in found)


def _compiled(root: Path, work: Path, sources: list[str], level: str) -> dict[str, str]:
    """
    Compile *sources* in a copy of the package in *work*.

    Returns:
        Where each extension module is, and its place in the wheel.

    Raises:
        subprocess.CalledProcessError: mypyc or the C compiler failed, and has said why.
    """
    shutil.copytree(root / "halo_daemon", work / "halo_daemon")
    shutil.copy(root / "pyproject.toml", work)
    out = work / "out"
    subprocess.run([sys.executable, "-c", _SETUP, str(out), level, *sources], cwd=work, check=True)
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {str(path): path.relative_to(out).as_posix() for path in files}
