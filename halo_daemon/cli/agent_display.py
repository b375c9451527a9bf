"""A run of the agent while it goes on: shown, stopped, and told by its exit status."""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from halo_daemon.analyzer.agent.events import (
    AgentOutputItem,
    AgentTextDelta,
    AgentToolCall,
    Event,
    RunEnded,
)
from halo_daemon.analyzer.agent.final_answer import FINAL_ANSWER
from halo_daemon.cli import exit_codes
from halo_daemon.cli.output import print_note, printable

_SHOWN_CHARS = 160
_CANCEL_POLL_S = 0.5


async def show_all(
    events: AsyncGenerator[Event, None], *, as_json: bool, cancel: Path | None
) -> int:
    """Show events as they come; SIGINT, SIGTERM and a cancel file end the run."""
    showing = asyncio.ensure_future(_show_each(events, as_json=as_json))
    watching = asyncio.ensure_future(_wait_for(cancel))
    _stop_on_signals(showing)
    try:
        await asyncio.wait({showing, watching}, return_when=asyncio.FIRST_COMPLETED)
        showing.cancel()
        return await showing
    except asyncio.CancelledError:
        print_note("stopped; what was recorded is kept", hint="halo-daemon run list")
        return exit_codes.INTERRUPTED
    finally:
        watching.cancel()


def _stop_on_signals(showing: asyncio.Future[int]) -> None:
    """The first signal ends the run in order; the second one has its usual effect."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        showing.cancel()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)


async def _wait_for(cancel: Path | None) -> None:
    """Wait until another process asks to stop; a file is the only bell that both can reach."""
    while not _take(cancel):  # noqa: ASYNC110 -- no event crosses processes
        await asyncio.sleep(_CANCEL_POLL_S)


def _take(cancel: Path | None) -> bool:
    if cancel is None or not cancel.exists():
        return False
    cancel.unlink(missing_ok=True)
    return True


async def _show_each(events: AsyncGenerator[Event, None], *, as_json: bool) -> int:
    end = exit_codes.FAILED
    display = _Display()
    async for event in events:
        if as_json:
            print(event.model_dump_json(), flush=True)
        else:
            display.show(event)
        if isinstance(event, RunEnded):
            end = _exit_status(event)
            if event.reason and not as_json:
                why = f": {event.detail}" if event.detail else ""
                print_note(f"{event.status}: {event.reason}{why}", hint=event.hint)
    return end


def _exit_status(end: RunEnded) -> int:
    if end.status == "complete":
        return exit_codes.DONE
    return exit_codes.BUDGET if end.reason in exit_codes.BUDGET_REASONS else exit_codes.FAILED


class _Display:
    """The answer on stdout; what happens on the way on stderr."""

    def __init__(self) -> None:
        self._is_in_line = False
        """Whether streamed text has left the cursor behind it."""

    def show(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, AgentTextDelta) and sys.stderr.isatty():
            self._print(printable(event.text_delta), end="")
            self._is_in_line = not event.text_delta.endswith("\n")
        if not isinstance(event, AgentOutputItem):
            return
        calls = event.item.tool_calls or ()
        if self._is_in_line and (calls or event.final):
            self._print("")
            self._is_in_line = False
        if event.final:
            print(printable(event.item.content or ""), flush=True)
        elif event.item.role == "assistant":
            self._show_calls(event.depth, calls)

    def _show_calls(self, depth: int, calls: Sequence[AgentToolCall]) -> None:
        for call in calls:
            name, arguments = call.function.name, call.function.arguments
            line = f"{'  ' * depth}· {name}"
            # The answer itself comes next, on stdout.
            line += "" if name == FINAL_ANSWER else f" {arguments}"
            self._print(printable(line)[:_SHOWN_CHARS])

    def _print(self, text: str, *, end: str = "\n") -> None:
        print(text, end=end, file=sys.stderr, flush=True)
