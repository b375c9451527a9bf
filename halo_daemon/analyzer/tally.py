"""
What examined traces add up to, in the form that is quickest to add to.

Nearly every trace counts, and few find anything. So what rules and defects count is added
column by column, and a trace is noted once under everything that it could have shown, not
once under each; `Tally.partial` gives all of it the form in which sets of traces merge.
"""

from collections import Counter
from collections.abc import Sequence
from operator import add
from typing import TYPE_CHECKING, NamedTuple

from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.observation import RuleOutput
from halo_daemon.analyzer.outliers import FLOORS, Measure, Spread, Value
from halo_daemon.analyzer.partial import Checked, Defects, Example, Group, Partial, TraceFacts
from halo_daemon.analyzer.populations import Population, population_of
from halo_daemon.analyzer.quality import DEFECTS, Defect
from halo_daemon.analyzer.rules.rule import Rule
from halo_daemon.analyzer.subjects import Subject
from halo_daemon.analyzer.tool_lists import tool_lists_of
from halo_daemon.analyzer.trace_view import TraceView

if TYPE_CHECKING:
    from halo_daemon.findings import NotCheckedReason

_MAX_SETS = 1_024
"""Different sets of populations that are held before they are taken apart."""


class Examined(NamedTuple):
    """One trace, examined and not yet added to anything."""

    view: TraceView
    outputs: Sequence[RuleOutput]
    """In the order of the rules."""
    groups: dict[FindingKey, Group]
    facts: TraceFacts
    examples: dict[Subject, list[Example]]
    values: dict[Measure, list[Value]]
    defects: Sequence[Defect]
    """In the order of `DEFECTS`; empty where those of the trace are counted elsewhere."""


class Tally:
    """Adds up traces that *rules* have examined."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.known = Partial()
        """Complete after `partial`."""
        self._rules = rules
        self._checked = [0] * len(rules)
        self._of = [0] * len(rules)
        self._not_checked: list[Counter[NotCheckedReason]] = [Counter() for _ in rules]
        self._defective_of = [0] * len(DEFECTS)
        self._showing: dict[frozenset[Population], list[str]] = {}

    def add(self, examined: Examined) -> None:
        """Add one trace, or a part of one."""
        trace_id = examined.view.trace_id
        self._count(trace_id, examined)
        known = self.known
        for key, group in examined.groups.items():
            known.groups.setdefault(key, Group()).absorb(group)
        known.traces[trace_id] = examined.facts
        known.add_examples(examined.examples)
        offered = tool_lists_of(examined.view, examined.facts.features, known.tool_lists)
        known.tool_lists.update(offered)
        for measure, values in examined.values.items():
            spread = known.spreads.get(measure)
            if spread is None:
                spread = known.spreads[measure] = Spread(FLOORS[measure.rule])
            spread.add(trace_id, values)
        for defect in examined.defects:
            if defect.met:
                known.add_defects(defect.code, Defects(defect.met, 0, (trace_id, defect.span_id)))

    def _count(self, trace_id: str, examined: Examined) -> None:
        _, eligible, checked, of, not_checked = zip(*examined.outputs, strict=True)
        self._checked = list(map(add, self._checked, checked))
        self._of = list(map(add, self._of, of))
        for row, reasons in zip(self._not_checked, not_checked, strict=True):
            for reason, units in reasons.items():
                row[reason] += units
        if examined.defects:
            self._defective_of = [
                total + defect.of
                for total, defect in zip(self._defective_of, examined.defects, strict=True)
            ]
        # A finding that shows up proves that it could: its own trace is always eligible.
        found = frozenset(map(population_of, examined.groups))
        # Many rules count over the same set, which is one object.
        populations = found.union(*set(eligible))
        traces = self._showing.get(populations)
        if traces is None:
            if len(self._showing) >= _MAX_SETS:
                self._take_apart()
            traces = self._showing[populations] = []
        traces.append(trace_id)

    def _take_apart(self) -> None:
        """Note traces under each of the populations."""
        eligible = self.known.eligible
        for populations, traces in self._showing.items():
            for population in populations:
                eligible.setdefault(population, set()).update(traces)
        self._showing.clear()

    def partial(self) -> Partial:
        """All that was added; nothing may be added afterwards."""
        self._take_apart()
        known = self.known
        if known.traces:
            for rule, checked, of, reasons in zip(
                self._rules, self._checked, self._of, self._not_checked, strict=True
            ):
                known.checked.setdefault(rule.id, Checked()).add(checked, of, reasons)
            for code, of in zip(DEFECTS, self._defective_of, strict=True):
                known.add_defects(code, Defects(0, of, ("", "")))
        return known
