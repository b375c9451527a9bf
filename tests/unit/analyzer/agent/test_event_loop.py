"""What takes long runs in threads: fifty agents share one event loop, and none may hold it."""

import os
import threading

from halo_daemon.analyzer.agent.arguments import ToolArguments
from halo_daemon.analyzer.agent.messages import Message, Role, ToolCall
from halo_daemon.analyzer.agent.sandbox import SandboxSettings
from halo_daemon.analyzer.agent.session import RoleModel, Run, RunModels, RunSettings
from halo_daemon.analyzer.agent.toolbox import Tool, Toolbox
from halo_daemon.analyzer.agent.trace_source import TraceSource
from halo_daemon.testing.memory_queries import MemoryQueries
from halo_daemon.testing.memory_reader import MemoryReader
from halo_daemon.testing.scripted_chat import ScriptedChatModel, call, calls, say
from halo_daemon.testing.spans import span_id_of, trace_id_of
from tests.unit.analyzer.agent.traces import GOAL_DRIFT, WINDOW, report_of, shop_reader, source_of

FINISH = call("final_answer", answer="Done.")


class WatchedReader:
    """A reader that notes which threads ask it."""

    def __init__(self, inner: MemoryReader) -> None:
        self._inner = inner
        self.threads: set[threading.Thread] = set()

    def __getattr__(self, name):
        self.threads.add(threading.current_thread())
        return getattr(self._inner, name)


def every_reading_tool() -> ScriptedChatModel:
    """A root that calls each tool that reads traces, records a finding and ends."""
    trace_id, span_id = trace_id_of(2), span_id_of(204)
    evidence = [{"trace_id": trace_id, "span_id": span_id, "quote": GOAL_DRIFT}]
    draft = {"title": "The agent drifts away", "evidence": evidence}
    turns = iter(
        [
            calls(
                ("get_dataset_overview", {}),
                ("query_traces", {}),
                ("count_traces", {"filters": {"regex_pattern": "seat"}}),
                ("query_spans", {}),
                ("aggregate", {"group_by": ["tool_name"]}),
                ("compare_groups", {"a": {"has_errors": True}, "b": {"has_errors": False}}),
                ("find_loops", {}),
                ("find_traces_like", {"trace_id": trace_id}),
                ("view_trace", {"trace_id": trace_id}),
                ("view_spans", {"trace_id": trace_id, "span_ids": [span_id]}),
                ("search_trace", {"trace_id": trace_id, "regex_pattern": "seat"}),
                ("search_span", {"trace_id": trace_id, "span_id": span_id, "regex_pattern": "t"}),
                ("synthesize_traces", {"trace_ids": [trace_id]}),
                ("record_finding", draft),
            ),
            say("a summary"),
            call("final_answer", answer="Done.", findings=[draft]),
        ]
    )
    return ScriptedChatModel(lambda _: next(turns))


async def test_no_tool_reads_traces_on_the_event_loop():
    """Every tool that loads traces, quotes checked included, does so in a thread."""
    inner = shop_reader()
    reader = WatchedReader(inner)
    run = Run(
        "run-1",
        RunModels.all_by(RoleModel(every_reading_tool(), "m")),
        TraceSource(reader, WINDOW, MemoryQueries(reader)),
        RunSettings(sandbox=SandboxSettings(enabled=False)),
        rule_findings=report_of(inner).findings,
    )

    end = await run.go([Message(Role.USER, "look")])

    assert (end.status, len(end.book.verified)) == ("complete", 1)
    assert reader.threads
    assert threading.main_thread() not in reader.threads


class WatchedAnswer(dict):
    """An answer that notes which threads look through it."""

    threads: set[threading.Thread]

    def items(self):
        """Note the thread that goes through."""
        self.threads.add(threading.current_thread())
        return super().items()


class NoArguments(ToolArguments):
    """Nothing."""


async def test_answers_are_redacted_and_fitted_off_the_event_loop():
    """A long answer is gone through in a thread, however many agents wait."""
    answer = WatchedAnswer(text="password=hunter2-hunter2")
    answer.threads = set()

    async def look(*_):
        return answer

    toolbox = Toolbox([Tool("look", NoArguments, look)])
    text = await toolbox.answer(ToolCall("a", "look", "{}"))

    assert "hunter2" not in text
    assert answer.threads
    assert threading.main_thread() not in answer.threads


async def test_the_disk_is_waited_for_off_the_event_loop(tmp_path, monkeypatch):
    """The journal syncs in a thread of its own, once a turn and for each long answer (R12)."""
    threads = []
    sync = os.fsync

    def noting(fd: int) -> None:
        threads.append(threading.current_thread().name)
        sync(fd)

    monkeypatch.setattr(os, "fsync", noting)
    turns = iter([call("view_trace", trace_id=trace_id_of(1)), FINISH])
    run = Run(
        "run-1",
        RunModels.all_by(RoleModel(ScriptedChatModel(lambda _: next(turns)), "m")),
        source_of(shop_reader(injected="x" * 70_000)),
        RunSettings(sandbox=SandboxSettings(enabled=False)),
        journal_path=tmp_path / "journal.jsonl",
    )

    await run.go([Message(Role.USER, "look")])

    assert len(threads) >= 3
    assert all(name.startswith("journal") for name in threads)
