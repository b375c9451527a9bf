"""
Exporters and instrumentations of others: ``HALO_INTEROP=1 pytest tests/interop``.

They are installed from their registries, which takes time and a network, so they run
on demand only.
"""

import os
import shutil
import socket
import subprocess
import venv
from pathlib import Path

import pytest

from tests.conformance.conftest import daemon_in, receiver_of

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip everything here unless it was asked for."""
    if os.environ.get("HALO_INTEROP"):
        return
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="set HALO_INTEROP=1; needs registries"))


def tool(name: str) -> str:
    """The path of a tool; skips the test without it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def _cache() -> Path:
    directory = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "halo-interop"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _install(command: list[str], directory: Path) -> None:
    """Run an installer; skips the test where its registry has no answer."""
    done = subprocess.run(
        command, cwd=directory, check=False, timeout=600, capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.skip(f"does not install here: {done.stderr[-500:]}")


@pytest.fixture(scope="session")
def js_sender() -> Path:
    """The JavaScript sender with its packages installed."""
    npm = tool("npm")
    directory = _cache() / "js"
    shutil.copytree(HERE / "js", directory, dirs_exist_ok=True)
    _install([npm, "install", "--no-audit", "--no-fund", "--no-package-lock"], directory)
    return directory / "send.js"


@pytest.fixture(scope="session")
def instrumented_python() -> Path:
    """A Python of its own with model clients and their instrumentations."""
    directory = _cache() / "python"
    python = directory / "bin/python"
    if not python.exists():
        venv.create(directory, with_pip=True)
    wanted = HERE / "python/requirements.txt"
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    _install([*pip, "-r", str(wanted)], directory)
    return python


@pytest.fixture(scope="session")
def go_sender() -> Path:
    """The sender in Go, built from its modules."""
    return _built("go")


@pytest.fixture(scope="session")
def collector_program() -> Path:
    """The OpenTelemetry Collector, built from its modules."""
    return _built("collector")


def _built(name: str) -> Path:
    program = _cache() / f"{name}-program"
    subprocess.run(
        [tool("go"), "build", "-o", str(program), "."], cwd=HERE / name, check=True, timeout=3600
    )
    return program


def free_address() -> str:
    """A loopback address that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def daemon(tmp_path):
    """A running daemon."""
    with daemon_in(tmp_path) as running:
        yield running


@pytest.fixture
def receiver(daemon):
    """The outside of the daemon."""
    seen = receiver_of(daemon)
    yield seen
    seen.close()
