"""``halo-daemon demo``: sample agents, real exporters, a report; nothing leaves the machine."""

import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halo_daemon import __version__
from halo_daemon.cli.output import has_display, printable
from halo_daemon.errors import AnalysisError

if TYPE_CHECKING:
    from halo_daemon.analysis import FinishedRun
    from halo_daemon.cli.daemon_process import DaemonProcess
    from halo_daemon.demo.export import Exported

_WINDOW_NS = 24 * 3600 * 10**9


def demo(
    *,
    leave: Annotated[
        bool, typer.Option("--exit", help="Leave after the report instead of waiting for Ctrl-C.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the data at the end; --exit always does.")
    ] = False,
    no_open: Annotated[bool, typer.Option("--no-open", help="Open no browser.")] = False,
) -> None:
    """
    Show the whole path: sample agents, OTLP ports, analysis, report.

    Takes free loopback ports and a temporary directory; needs no key and no network.
    """
    from halo_daemon import log
    from halo_daemon.cli.daemon_process import DaemonProcess

    _forget_environment()
    log.configure(level="warning")
    root = Path(tempfile.mkdtemp(prefix="halo-demo-"))
    settings = root / "halo-daemon.yaml"
    settings.write_text("version: 1\n", encoding="utf-8")
    arguments = ("--no-schedule", "--config", str(settings))
    try:
        with DaemonProcess(root / "data", arguments=arguments) as daemon:
            _greet(daemon, is_kept=leave or keep)
            runs = _show(daemon)
            _farewell(daemon)
            if not leave:
                _open(runs, no_open=no_open)
                _wait_for_interrupt()
    finally:
        if not (leave or keep):
            shutil.rmtree(root, ignore_errors=True)


def _forget_environment() -> None:
    # What is set for the user's own agents and daemon must not reach the demo's.
    for name in list(os.environ):
        if name.startswith(("OTEL_", "HALO_DAEMON_")):
            del os.environ[name]


def _greet(daemon: "DaemonProcess", *, is_kept: bool) -> None:
    fate = "kept" if is_kept else "removed on exit; --keep to keep"
    print(f"halo-daemon {__version__} · demo · nothing leaves this machine")
    print(f"  OTLP gRPC  {daemon.grpc}")
    print(f"  OTLP HTTP  http://{daemon.http}/v1/traces")
    print("  Engine     builtin (no model, no key)")
    print(f"  Data       {daemon.data} ({fate})\n")


def _show(daemon: "DaemonProcess") -> "list[FinishedRun]":
    started_s = time.monotonic()
    exported = _export(daemon)
    traces, spans = sum(each.traces for each in exported), sum(each.spans for each in exported)
    seconds = time.monotonic() - started_s
    print(
        f"{len(exported)} sample agents through the OTLP ports: {traces} traces, {spans} spans",
        end="",
    )
    print(f"  ({seconds:.1f} s)")
    for each in exported:
        print(f"  {each.project:12} {each.transport:4} {each.traces:4} traces {each.spans:5} spans")

    started_s = time.monotonic()
    runs = _analyze(daemon.data)
    print(f"Analysed the last 24 h  ({time.monotonic() - started_s:.1f} s)\n")
    _check_complete(runs, exported)
    _print_findings(runs)
    return runs


def _export(daemon: "DaemonProcess") -> "tuple[Exported, ...]":
    from halo_daemon.demo.agents import AGENTS, generate
    from halo_daemon.demo.export import export
    from halo_daemon.quantities import parse_endpoint

    now_unix_ns = time.time_ns()
    generated = [generate(agent, now_unix_ns=now_unix_ns) for agent in AGENTS]
    return export(generated, grpc=parse_endpoint(daemon.grpc), http=parse_endpoint(daemon.http))


def _analyze(data: Path) -> "list[FinishedRun]":
    from halo_daemon.analysis import AnalysisRequest, analyze
    from halo_daemon.config import Config, DataConfig
    from halo_daemon.store.trace_reader import Window

    now_unix_ns = time.time_ns()
    window = Window(from_unix_ns=now_unix_ns - _WINDOW_NS, to_unix_ns=now_unix_ns)
    request = AnalysisRequest(window=window, trigger="demo")
    return analyze(Config(data=DataConfig(dir=data)), request, now_unix_ns=time.time_ns)


def _check_complete(runs: "list[FinishedRun]", exported: "tuple[Exported, ...]") -> None:
    """Nothing that was acknowledged may be missing from the reports, and something must be there."""
    sent = {each.project: (each.traces, each.spans) for each in exported}
    seen = {
        run.report.project: (run.report.dataset.traces, run.report.dataset.spans) for run in runs
    }
    if not sent or seen != sent:
        raise AnalysisError(
            f"the demo sent {sent} (traces, spans by project) and found {seen}",
            hint="run again with --keep and look at the daemon's log in the data directory",
        )


def _print_findings(runs: "list[FinishedRun]") -> None:
    from halo_daemon.analyzer.render_text import render_text
    from halo_daemon.cli.terminal import width_columns

    for run in runs:
        print(printable(render_text(run.report, width=width_columns())))
        print(f"  Report   {_page(run)}\n")


def _page(run: "FinishedRun") -> Path:
    assert run.directory is not None, "the demo keeps its reports"
    return run.directory / "report.html"


def _farewell(daemon: "DaemonProcess") -> None:
    print("Now yours, with `halo-daemon serve` running; in the shell that runs your agent:")
    print("  export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318")
    print("  export OTEL_RESOURCE_ATTRIBUTES=service.name=my-agent")
    print(f"This demo's own daemon listens on http://{daemon.http} while it runs.", flush=True)


def _open(runs: "list[FinishedRun]", *, no_open: bool) -> None:
    import webbrowser

    if not no_open and sys.stdout.isatty() and has_display() and runs:
        webbrowser.open(_page(runs[0]).as_uri())


def _wait_for_interrupt() -> None:
    print("\nCtrl-C to stop.", flush=True)
    # As SystemExit, so that the daemon is stopped and the data removed on the way out.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    threading.Event().wait()
