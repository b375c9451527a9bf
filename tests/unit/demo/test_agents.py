from collections import Counter

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from halo_daemon.demo.agents import AGENTS, demo_plan, generate
from halo_daemon.demo.catalogue import CATALOGUE
from halo_daemon.demo.faults import FaultPlan, Mode

NOW_UNIX_NS = 1_790_000_000 * 10**9
HOUR_NS = 3_600 * 10**9

each_agent = pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.name)


def _request(generated) -> bytes:
    return encode_spans(generated.spans).SerializeToString(deterministic=True)


@each_agent
def test_the_same_seed_gives_the_same_bytes(agent):
    """Two demos at the same moment send the same requests."""
    first, again = (generate(agent, now_unix_ns=NOW_UNIX_NS) for _ in range(2))

    assert _request(first) == _request(again)
    assert first.faults == again.faults


@each_agent
def test_another_seed_gives_other_runs(agent):
    """The seed is what fixes the runs."""
    first, other = (generate(agent, now_unix_ns=NOW_UNIX_NS, seed=seed) for seed in (1, 2))

    assert set(first.trace_ids).isdisjoint(other.trace_ids)


@each_agent
def test_every_fault_is_there_as_often_as_the_catalogue_says(agent):
    """The counts of the catalogue are exact."""
    generated = generate(agent, now_unix_ns=NOW_UNIX_NS)

    assert Counter(generated.faults.values()) == {
        entry.mode: entry.affected_traces for entry in CATALOGUE if entry.project == agent.name
    }
    assert set(generated.faults) < set(generated.trace_ids)


@each_agent
def test_runs_lie_in_the_last_hours_and_are_over(agent):
    """Every span is within the hours before now, and the last one has been quiet for a while."""
    spans = generate(agent, now_unix_ns=NOW_UNIX_NS).spans

    times = [(span.start_time or 0, span.end_time or 0) for span in spans]
    assert min(start for start, _ in times) > NOW_UNIX_NS - 5 * HOUR_NS
    assert max(end for _, end in times) < NOW_UNIX_NS - 60 * 10**9
    assert all(start <= end for start, end in times)


@each_agent
def test_a_run_is_one_tree_and_loses_nothing(agent):
    """Each trace has one root, every parent is there, ids are unique, no attribute is cut."""
    generated = generate(agent, now_unix_ns=NOW_UNIX_NS)
    ids = {span.context.span_id for span in generated.spans}

    assert len(ids) == len(generated.spans)
    assert sum(span.parent is None for span in generated.spans) == len(generated.trace_ids)
    assert all(span.parent.span_id in ids for span in generated.spans if span.parent)
    assert all(not span.dropped_attributes for span in generated.spans)


def test_the_demo_has_the_size_it_promises():
    """About 170 runs and some thousand spans of three agents, each of its own service."""
    runs = [generate(agent, now_unix_ns=NOW_UNIX_NS) for agent in AGENTS]

    assert sum(len(run.trace_ids) for run in runs) == 168
    assert 2_500 < sum(len(run.spans) for run in runs) < 4_500
    assert len({run.spans[0].resource.attributes["service.name"] for run in runs}) == 3


@each_agent
def test_runs_carry_what_reports_count_by(agent):
    """Sessions, versions, models and tokens are recorded in every agent's convention."""
    spans = generate(agent, now_unix_ns=NOW_UNIX_NS).spans

    keys = {key for span in spans for key in span.attributes or ()}
    assert keys & {"session.id", "gen_ai.conversation.id"}
    assert keys & {"llm.token_count.prompt", "gen_ai.usage.input_tokens"}
    assert keys & {"llm.model_name", "gen_ai.response.model"}
    assert all(span.resource.attributes["service.version"] for span in spans)


@each_agent
def test_a_clean_plan_has_no_failed_span(agent):
    """Without faults nothing fails: the near-misses are no errors."""
    generated = generate(agent, now_unix_ns=NOW_UNIX_NS, plan=FaultPlan({}))

    assert generated.faults == {}
    assert all(span.status.description is None for span in generated.spans)


@each_agent
@pytest.mark.parametrize("mode", Mode)
def test_any_fault_can_be_put_into_any_agent(agent, mode):
    """A benchmark may choose the faults: every agent takes each at any rate and size."""
    generated = generate(agent, now_unix_ns=NOW_UNIX_NS, plan=FaultPlan({mode: 0.5}), traces=10)

    assert list(generated.faults.values()) == [mode] * 5


@pytest.mark.parametrize("rates", [{Mode.NO_ANSWER: 1.1}, {Mode.NO_ANSWER: -0.1}])
def test_a_rate_is_a_share(rates):
    """A rate outside 0 to 1 is refused."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        FaultPlan(rates)


def test_a_run_has_one_fault_at_most():
    """Rates that would need more runs than there are, are refused."""
    with pytest.raises(ValueError, match="together above 1"):
        FaultPlan({Mode.NO_ANSWER: 0.6, Mode.BAD_ARGUMENTS: 0.6})


def test_the_demo_holds_every_kind_of_fault():
    """Each failure that the first rules report is in one of the agents."""
    assert {mode for agent in AGENTS for mode in demo_plan(agent).rates} == set(Mode)
