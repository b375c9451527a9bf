import pytest

from halo_daemon.analyzer.miner import mine
from halo_daemon.analyzer.rules.context import window_tokens
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.testing.traces import TraceScript

CACHED = "inference.llm.cached_input_tokens"


def prompts(*sizes, model="gpt-4o"):
    """Model calls with prompts of those sizes."""
    script = TraceScript()
    for tokens in sizes:
        script.model("x", tokens=(tokens, 20), **{"inference.llm.model_name": model})
    return script.answer("done")


def parts(*lengths):
    """Four model calls, each with messages of those lengths."""
    script = TraceScript()
    sent = {}
    for place, chars in enumerate(lengths):
        sent[f"llm.input_messages.{place}.message.role"] = "tool"
        sent[f"llm.input_messages.{place}.message.content"] = "a " * (chars // 2)
    for _ in range(4):
        script.model("x", tokens=(30_000, 20), **sent)
    return script.answer("done")


def cached(*shares, prompt=10_000):
    """Model calls whose prompt came from the cache in those shares."""
    script = TraceScript()
    for share in shares:
        script.model("x", tokens=(prompt, 20), **{CACHED: int(share * prompt)})
    return script.answer("done")


def kinds(script):
    """What is said of the trace's prompts."""
    groups = mine([script.build()], MinerSettings()).groups
    return {key.error_type for key in groups if key.rule == "context_growth"}


@pytest.mark.parametrize(
    ("kind", "script"),
    [
        pytest.param("window", prompts(90_000, 95_000, 100_000, 103_000), id="four fifths"),
        pytest.param("window", prompts(*[128_000] * 4), id="to the brim"),
        pytest.param("part", parts(2_000, 60_000, 30_000), id="one of three"),
        pytest.param("part", parts(60_000), id="the only one"),
        pytest.param("cache", cached(0, *[0.9] * 4, *[0.1] * 5), id="lost half-way"),
    ],
)
def test_a_cost_of_prompts_is_seen(kind, script):
    """The rule says what fills the prompt."""
    assert kinds(script) == {kind}


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(prompts(90_000, 95_000, 100_000, 102_000), id="below four fifths"),
        pytest.param(prompts(*[127_000] * 4, model="made-up-1"), id="window not known"),
        pytest.param(prompts(*[127_000] * 4, model="gpt-4o2"), id="only begins like a known one"),
        pytest.param(prompts(*[129_000] * 4), id="more than the window that is known"),
        pytest.param(prompts(*[127_000] * 3), id="three calls"),
        pytest.param(parts(50_000, 50_000), id="two halves"),
        pytest.param(parts(50_000, 51_000, 49_000), id="three large ones"),
        pytest.param(parts(30_000, 1_000), id="small"),
        pytest.param(cached(*[0.0] * 10), id="never cached"),
        pytest.param(cached(0, *[0.9] * 9), id="cached to the end"),
        pytest.param(cached(*[0.9] * 5, *[0.6] * 5), id="a little less"),
        pytest.param(cached(*[0.9] * 4, 0.0, *[0.9] * 5), id="one miss"),
        pytest.param(cached(*[0.9] * 5, *[0.0] * 5, prompt=1_000), id="small prompts"),
        pytest.param(cached(*[0.9] * 3, *[0.0] * 4), id="seven calls"),
        pytest.param(prompts(-5, 10**12, -1, 10**15), id="counts that no call can have"),
    ],
)
def test_usual_prompts_are_left_alone(script):
    """Near-misses and unknown models say nothing."""
    assert kinds(script) == set()


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("openai/gpt-4o-2024-08-06", 128_000),
        ("gpt-4.1-mini", 1_047_576),
        ("claude-sonnet-4-5-20250929", 200_000),
        ("gpt-4", 0),
        ("", 0),
    ],
)
def test_windows_are_known_by_the_beginning_of_a_name(model, tokens):
    """Provider, size and date do not matter; a name that is not in the table is unknown."""
    assert window_tokens(model) == tokens
