"""
A competent analyst as a policy: overview, query, search, view, sub-agent, findings.

It decides from the conversation alone, so the same conversation always gets the
same answer, and a resumed run goes the way of the undisturbed one.
"""

import json
from typing import Any

from halo_daemon.analyzer.agent.messages import Role
from halo_daemon.analyzer.agent.model import ModelReply, ModelRequest
from halo_daemon.testing.scripted_chat import call, calls, say

CHILD_TASK = "Which words of the answer drift from the task?"


def analyst(request: ModelRequest) -> ModelReply:
    """The next step of the root or of its sub-agent."""
    if request.messages[0].content.startswith("You summarise"):
        return say("Half of the runs end without a flight.")
    if request.force_tool:
        return call("final_answer", answer="Time is up; see the findings.")
    task = next(m for m in request.messages if m.role is Role.USER)
    return _child(request) if task.content.startswith(CHILD_TASK) else _root(request)


def _root(request: ModelRequest) -> ModelReply:  # noqa: PLR0911 -- one return a step
    done = _results(request)
    if "get_dataset_overview" not in done:
        return calls(("get_dataset_overview", {}), ("get_findings", {"limit": 5}))
    if "query_spans" not in done:
        return calls(
            ("query_spans", {"leaf_errors_only": True, "limit": 5}),
            ("query_traces", {"filters": {"has_errors": True}, "limit": 5}),
        )
    traces = done["query_traces"]["result"]["traces"]
    if not traces:
        return call("final_answer", answer="No trace shows an error.")
    trace_id = traces[0]["trace_id"]
    if "search_trace" not in done:
        return call(
            "search_trace", trace_id=trace_id, regex_pattern="(?i)error|fail", max_matches=3
        )
    if "view_trace" not in done:
        return call("view_trace", trace_id=trace_id)
    if "synthesize_traces" not in done:
        ids = [row["trace_id"] for row in traces[:3]]
        return call("synthesize_traces", trace_ids=ids, focus="how runs end")
    if "call_subagent" not in done:
        return call("call_subagent", input=f"{CHILD_TASK} Trace {trace_id}.")
    if "record_finding" not in done:
        return _record(done)
    answer = f"{done['call_subagent']['answer']} See [trace:{trace_id}]."
    return call("final_answer", answer=answer, not_looked_at=["traces without errors"])


def _record(done: dict[str, Any]) -> ModelReply:
    error = done["query_spans"]["result"]["spans"][0]
    quote = (error["status_message"] or error["output_preview"] or error["name"])[:80]
    found = done["get_findings"]["result"]["findings"]
    return call(
        "record_finding",
        title=f"{error['name']} fails and the run goes on without it",
        category="task-instruction/non-compliance",
        severity="medium",
        query_id=done["query_traces"]["result"]["query_id"],
        evidence=[{"trace_id": error["trace_id"], "span_id": error["span_id"], "quote": quote}],
        explains=found[0]["finding_id"] if found else "",
        root_cause={"state": "hypothesis", "text": "The prompt does not say what to do then."},
        recommendation={"fix_type": "system_prompt", "text": "Say what to do when it fails."},
    )


def _child(request: ModelRequest) -> ModelReply:
    done = _results(request)
    task = next(m for m in request.messages if m.role is Role.USER).content
    trace_id = task.split("Trace ")[1].rstrip(".")
    if "view_trace" not in done:
        return call("view_trace", trace_id=trace_id)
    spans = done["view_trace"]["result"]["spans"] or []
    answers = [s for s in spans if str(s["attributes"].get("output.value", "")).strip()]
    if not answers:
        return call("final_answer", answer="The trace is too large to be read at once.")
    if "record_finding" not in done:
        span = answers[-1]
        words = " ".join(str(span["attributes"]["output.value"]).split())
        return call(
            "record_finding",
            title="The last output leaves the task aside",
            category="orchestration-related-errors/goal-deviation",
            severity="high",
            evidence=[
                {
                    "trace_id": trace_id,
                    "span_id": span["span_id"],
                    "quote": words[:100],
                    "role": "decision",
                }
            ],
        )
    return call("final_answer", answer="The last answer leaves the task aside.")


def _results(request: ModelRequest) -> dict[str, Any]:
    """The newest answer of each tool that was called."""
    names = {c.call_id: c.name for m in request.messages for c in m.tool_calls}
    return {
        names[m.tool_call_id]: json.loads(m.content)
        for m in request.messages
        if m.role is Role.TOOL
    }
