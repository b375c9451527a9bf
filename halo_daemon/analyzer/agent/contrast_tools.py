"""Tools that compare: two groups of traces, traces like one, loops, figures by group."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from pydantic import Field

from halo_daemon.analyzer.agent.answers import cut_text
from halo_daemon.analyzer.agent.arguments import ToolArguments
from halo_daemon.analyzer.agent.errors import EngineToolError
from halo_daemon.analyzer.agent.toolbox import Tool, in_thread
from halo_daemon.analyzer.agent.trace_arguments import Filters
from halo_daemon.analyzer.agent.trace_source import Compared, TraceSource, TraceSteps
from halo_daemon.analyzer.agent.trace_tools import TraceTools
from halo_daemon.analyzer.content import canonical_arguments, tool_arguments, tool_result
from halo_daemon.analyzer.stats import (
    Odds,
    Table,
    benjamini_hochberg,
    mantel_haenszel,
    wilson,
)
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.span import Span
from halo_daemon.store.filters import SpanFilter
from halo_daemon.store.query import AggregateQuery, Bucket, Dimension

_TERCILES = 3
_TEXT_CHARS = 120


Feature = Literal["tool", "bigram", "template", "model", "agent"]
"""What traces are compared by: tools, pairs of tools, masked errors, models, agents."""


class CompareGroupsArguments(ToolArguments):
    """Which tools, pairs of tools, errors, models or agents set group `a` apart from group `b`?
    Traces of like length are compared with each other, and all tests are corrected together.
    What is found goes with the group; it is not shown to cause anything.
    """

    a: Filters
    b: Filters
    features: tuple[Feature, ...] = ("tool", "bigram", "template", "model", "agent")
    q: float = Field(default=0.05, gt=0, le=1)
    """False-discovery rate at which a feature counts as a discovery."""

    top: int = Field(default=20, ge=1, le=100)


class FindTracesLikeArguments(ToolArguments):
    """Find the traces whose sequence of tools and errors is most like that of one trace."""

    trace_id: str
    filters: Filters = Field(default_factory=Filters)
    limit: int = Field(default=20, ge=1, le=100)


class FindLoopsArguments(ToolArguments):
    """Find traces that call the same tool with the same arguments again and again."""

    filters: Filters = Field(default_factory=Filters)
    min_repeats: int = Field(default=3, ge=2, le=100)
    limit: int = Field(default=50, ge=1, le=500)


class AggregateArguments(ToolArguments):
    """Counts, errors, tokens, cost and durations of spans, by group and by time."""

    filters: Filters = Field(default_factory=Filters)
    kinds: list[str] = Field(default_factory=list)
    tool_names: list[str] = Field(default_factory=list)
    group_by: list[Dimension] = Field(default_factory=list, max_length=3)
    bucket: Literal["none", "hour", "day"] = "none"
    top: int = Field(default=50, ge=1, le=500)


class ContrastTools:
    """The functions behind the tools, over one window of traces."""

    def __init__(self, source: TraceSource, traces: TraceTools) -> None:
        self._source = source
        self._traces = traces

    def tools(self) -> list[Tool[Any]]:
        """The tools to offer."""
        return [
            Tool("compare_groups", CompareGroupsArguments, in_thread(self.compare_groups)),
            Tool("find_traces_like", FindTracesLikeArguments, in_thread(self.find_traces_like)),
            Tool("find_loops", FindLoopsArguments, in_thread(self.find_loops)),
            Tool("aggregate", AggregateArguments, in_thread(self.aggregate)),
        ]

    def compare_groups(self, arguments: CompareGroupsArguments) -> JsonObject:
        """Test every feature once, within strata of length, and correct for all tests."""
        group_a, group_b = self._steps(arguments.a), self._steps(arguments.b)
        ours, theirs = group_a.traces, group_b.traces
        both = {row.trace_id for row in ours} & {row.trace_id for row in theirs}
        if both:
            raise EngineToolError(
                f"cannot compare: {len(both)} traces are in both groups",
                hint="narrow `a` or `b` so that no trace is in both",
            )
        in_a, in_b = _carriers(ours, arguments.features), _carriers(theirs, arguments.features)
        tested: list[tuple[str, Odds]] = []
        for feature in sorted({*in_a, *in_b}):
            having = {*in_a.get(feature, ()), *in_b.get(feature, ())}
            odds = mantel_haenszel(_tables(ours, theirs, having))
            if odds is not None:
                tested.append((feature, odds))
        adjusted = benjamini_hochberg([odds.p for _, odds in tested])
        ranked = sorted(zip(adjusted, tested, strict=True), key=lambda row: (row[0], row[1][0]))
        return {
            "n_a": len(ours),
            "n_b": len(theirs),
            **self._left_out(group_a.left_out + group_b.left_out),
            "tests": len(tested),
            "discoveries": sum(q < arguments.q for q in adjusted),
            "rows": [
                {
                    "feature": feature,
                    "a": [len(in_a.get(feature, ())), len(ours)],
                    "b": [len(in_b.get(feature, ())), len(theirs)],
                    "odds_ratio": round(odds.ratio, 3),
                    "ci95": [round(odds.ci95.low, 3), round(odds.ci95.high, 3)],
                    "p": odds.p,
                    "q": q,
                    "adjusted_for": ["length"],
                }
                for q, (feature, odds) in ranked[: arguments.top]
            ],
            "wording": "goes with",
        }

    def find_traces_like(self, arguments: FindTracesLikeArguments) -> JsonObject:
        """Rank traces by the features that they share with one."""
        group = self._steps(arguments.filters)
        wanted = self._steps(Filters(trace_ids=[arguments.trace_id])).traces
        if not wanted:
            raise EngineToolError(f"no trace `{arguments.trace_id[:64]}`")
        features = {*_features(wanted[0], _ALIKE)}
        scored = []
        for row in group.traces:
            theirs = {*_features(row, _ALIKE)}
            shared = features & theirs
            if shared and row.trace_id != arguments.trace_id:
                scored.append((-len(shared) / len(features | theirs), row.trace_id, shared))
        scored.sort(key=lambda match: match[:2])
        return {
            "matches": [
                {"trace_id": trace_id, "score": round(-score, 3), "shared": [*sorted(shared)[:10]]}
                for score, trace_id, shared in scored[: arguments.limit]
            ],
            **self._left_out(group.left_out),
        }

    def find_loops(self, arguments: FindLoopsArguments) -> JsonObject:
        """Count calls of one tool with equal arguments, trace by trace."""
        loops: list[JsonObject] = []
        for trace in self._source.traces(self._traces.select(arguments.filters)):
            loops += _loops_of(trace.spans, arguments.min_repeats)
        loops.sort(key=lambda loop: (-int(str(loop["count"])), str(loop["trace_id"])))
        return {"loops": [*loops[: arguments.limit]], "total": len(loops)}

    def aggregate(self, arguments: AggregateArguments) -> JsonObject:
        """Figures of the matching spans, the largest groups first."""
        answer = self._source.queries.aggregate(
            self._source.window,
            AggregateQuery(
                traces=self._traces.select(arguments.filters),
                filter=SpanFilter(
                    observation_kinds=tuple(arguments.kinds),
                    tool_names=tuple(arguments.tool_names),
                ),
                group_by=tuple(arguments.group_by),
                bucket=None if arguments.bucket == "none" else Bucket(arguments.bucket),
                top=arguments.top,
            ),
        )
        found: list[JsonValue] = []
        for row in answer.rows:
            interval = wilson(row.errors, row.spans)
            fields: JsonObject = row.model_dump(mode="json")
            found.append({**fields, "error_rate_ci95": [interval.low, interval.high]})
        return {"rows": found, "groups_total": answer.groups, "other": answer.other_spans}

    def _steps(self, filters: Filters) -> Compared:
        return self._source.steps(self._traces.select(filters))

    def _left_out(self, traces: int) -> JsonObject:
        """What an answer over very many traces says of those that it does not count."""
        if not traces:
            return {}
        most = self._source.max_compared
        return {
            "left_out_traces": traces,
            "hint": f"of each group the {most} traces that started last were looked at:"
            " narrow the filters by time, or by what the traces have",
        }


_ALIKE = ("tool", "bigram", "template")


def _features(row: TraceSteps, kinds: Iterable[str]) -> list[str]:
    pairs = zip(row.tool_sequence, row.tool_sequence[1:], strict=False)
    by_kind = {
        "tool": row.tool_names,
        "bigram": (f"{first} > {second}" for first, second in pairs),
        "template": row.error_templates,
        "model": row.model_names,
        "agent": row.agent_names,
    }
    return [f"{kind}: {cut_text(text, _TEXT_CHARS)}" for kind in kinds for text in by_kind[kind]]


def _carriers(rows: Sequence[TraceSteps], kinds: Sequence[str]) -> dict[str, set[str]]:
    """The traces of *rows* by feature."""
    found: dict[str, set[str]] = {}
    for row in rows:
        for feature in _features(row, kinds):
            found.setdefault(feature, set()).add(row.trace_id)
    return found


def _tables(
    ours: Sequence[TraceSteps], theirs: Sequence[TraceSteps], having: set[str]
) -> list[Table]:
    """One table for each third of the traces by length."""
    lengths = sorted(row.span_count for row in (*ours, *theirs))
    bounds = [lengths[len(lengths) * third // _TERCILES] for third in range(1, _TERCILES)]
    cells: Counter[tuple[int, bool, bool]] = Counter()
    for rows, is_a in ((ours, True), (theirs, False)):
        for row in rows:
            stratum = sum(row.span_count >= bound for bound in bounds)
            cells[stratum, row.trace_id in having, is_a] += 1
    return [
        Table(
            cells[stratum, True, True],
            cells[stratum, True, False],
            cells[stratum, False, True],
            cells[stratum, False, False],
        )
        for stratum in range(_TERCILES)
    ]


def _loops_of(spans: Sequence[Span], min_repeats: int) -> list[JsonObject]:
    calls: dict[tuple[str, str], list[Span]] = {}
    for span in spans:
        if span.tool_name:
            arguments = canonical_arguments(tool_arguments(span).value)
            calls.setdefault((span.tool_name, arguments), []).append(span)
    return [
        {
            "trace_id": repeated[0].trace_id,
            "class": _class_of(repeated),
            "tool": tool,
            "arguments": cut_text(arguments, _TEXT_CHARS),
            "count": len(repeated),
            "span_ids": [span.span_id for span in repeated[:20]],
            "wasted_ms": sum(span.duration_ns for span in repeated[1:]) // 1_000_000,
        }
        for (tool, arguments), repeated in calls.items()
        if len(repeated) >= min_repeats
    ]


def _class_of(repeated: Sequence[Span]) -> str:
    results = {tool_result(span).value for span in repeated}
    if any(span.has_error_status or span.has_derived_error for span in repeated[:-1]):
        return "blind_retry"
    return "repeat" if len(results) == 1 else "near_repeat"
