"""
The receiver under test: our own daemon as a child process, or any other.

``pytest tests/conformance --endpoint 127.0.0.1:4318,127.0.0.1:4317`` runs the rows
against another receiver (HTTP address, then gRPC address); what needs its files or
its process is left out.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from halo_daemon.testing.daemon import DaemonProcess
from tests.conformance.receiver import Receiver

SMALL_LIMIT_BYTES = 1024 * 1024
_ENVIRON = {
    "HALO_DAEMON__PROJECTS__MAX_AUTO_CREATED": "100000",
    "HALO_DAEMON__STORAGE__MIN_FREE": "1MiB",
}
_SMALL = {
    **_ENVIRON,
    "HALO_DAEMON__RECEIVERS__OTLP__GRPC__MAX_MESSAGE": "1MiB",
    "HALO_DAEMON__RECEIVERS__OTLP__HTTP__MAX_BODY": "1MiB",
    "HALO_DAEMON__RECEIVERS__OTLP__HTTP__MAX_DECOMPRESSED": "1MiB",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names another receiver."""
    parser.addoption(
        "--endpoint",
        metavar="HTTP,GRPC",
        help="test the receiver at these two addresses instead of our own",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Against another receiver, leave out the rows that start a daemon of their own."""
    if not config.getoption("--endpoint", default=None):
        return
    for item in items:
        if "receiver" not in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason="the row starts a daemon of its own"))


def daemon_in(
    directory: Path, environ: dict[str, str] | None = None, *arguments: str
) -> DaemonProcess:
    """A daemon that is not started yet, with its data in *directory*."""
    return DaemonProcess(
        directory / "data",
        arguments=("--no-schedule", *arguments),
        environ={**_ENVIRON, **(environ or {})},
    )


def receiver_of(daemon: DaemonProcess) -> Receiver:
    """The outside of *daemon*."""
    return Receiver(http_address=daemon.http, grpc_address=daemon.grpc, data=daemon.data)


def in_time(holds: Callable[[], bool]) -> bool:
    """Whether it holds within five minutes: on a busy machine a server learns of things late."""
    until_s = time.monotonic() + 300
    while not (held := holds()) and time.monotonic() < until_s:
        time.sleep(0.05)
    return held


@pytest.fixture(scope="session")
def receiver(request, tmp_path_factory) -> Iterator[Receiver]:
    """The receiver under test, shared by all rows that leave it as it was."""
    endpoint = request.config.getoption("--endpoint", default=None)
    if endpoint:
        http_address, _, grpc_address = endpoint.partition(",")
        foreign = Receiver(http_address=http_address, grpc_address=grpc_address, data=None)
        yield foreign
        foreign.close()
        return
    with daemon_in(tmp_path_factory.mktemp("receiver")) as daemon:
        ours = receiver_of(daemon)
        yield ours
        ours.close()


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Iterator[Receiver]:
    """Our own receiver with limits of `SMALL_LIMIT_BYTES`."""
    with daemon_in(tmp_path_factory.mktemp("small"), _SMALL) as daemon:
        ours = receiver_of(daemon)
        yield ours
        ours.close()


@pytest.fixture
def ours(receiver: Receiver) -> Receiver:
    """The receiver, where the row needs to see what it stored."""
    if not receiver.is_ours:
        pytest.skip("the files of another receiver cannot be looked at")
    return receiver


@pytest.fixture
def project() -> str:
    """The name of a project that nobody else uses."""
    return f"row-{uuid.uuid4().hex[:12]}"
