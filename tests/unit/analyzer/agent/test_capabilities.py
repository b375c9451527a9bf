from datetime import UTC, datetime

import pytest

from halo_daemon.analyzer.agent.capabilities import MAX_ADAPTATIONS, Capabilities
from halo_daemon.analyzer.agent.capability_file import EXPIRY_NS, CapabilityFile
from halo_daemon.analyzer.agent.provider_errors import retry_after_s

PROVIDER = "m at http://x"


def test_what_was_learnt_is_known_in_the_next_run(tmp_path):
    """A refused parameter is not asked for again, for a week."""
    path = tmp_path / "providers.json"
    now = [1_000]
    first = CapabilityFile(path, lambda: now[0])
    first.of(PROVIDER).learn("temperature is not supported", "", {"temperature": 1})
    first.save()

    assert CapabilityFile(path, lambda: now[0]).of(PROVIDER).learnt == {"temperature": ""}
    now[0] += EXPIRY_NS
    assert CapabilityFile(path, lambda: now[0]).of(PROVIDER).learnt == {}


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"m at http://x": 3}', b"\xff\xfe"])
def test_a_damaged_file_is_an_empty_one(tmp_path, damage):
    """Nothing in the file can stop a run."""
    path = tmp_path / "providers.json"
    path.write_bytes(damage)
    file = CapabilityFile(path, lambda: 0)

    assert file.of(PROVIDER).learnt == {}
    file.of(PROVIDER).learn("store: unknown parameter", "", {"store": False})
    file.save()
    assert CapabilityFile(path, lambda: 0).of(PROVIDER).learnt == {"store": ""}


def test_only_so_much_is_learnt_in_one_run():
    """A provider that refuses everything ends the run, not in a loop (V-11)."""
    known = Capabilities()
    body = dict.fromkeys(
        ("temperature", "parallel_tool_calls", "stream_options", "store", "tool_choice"), 1
    )

    learnt = [known.learn(f"{name} is not supported", "", body) for name in body]

    assert learnt.count(True) == MAX_ADAPTATIONS


@pytest.mark.parametrize(
    ("parameter", "body", "adapted"),
    [
        ("strict", {"tools": [{"function": {"name": "a", "strict": True}}]},
         {"tools": [{"function": {"name": "a"}}]}),
        ("max_completion_tokens", {"max_completion_tokens": 5}, {"max_tokens": 5}),
        ("store", {"store": False, "model": "m"}, {"model": "m"}),
    ],
)  # fmt: skip
def test_each_parameter_has_its_way_out(parameter, body, adapted):
    """Dropped, renamed or taken out of the tools (V-04, V-07, V-10)."""
    known = Capabilities()

    assert known.learn(f"Unknown parameter: {parameter}", "", body)
    assert known.adapt(body) == adapted


def test_null_content_gives_way_to_empty_text():
    """A server that wants text gets text."""
    known = Capabilities()
    body = {"messages": [{"role": "assistant", "content": None}]}

    assert known.learn("messages.0.content: none is not an allowed value", "", body)
    assert known.adapt(body)["messages"][0]["content"] == ""


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "150", "retry-after": "9"}, 0.15),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "9" * 400}, 0.0),
        ({"retry-after": "Fri, 99 Nov"}, 0.0),
        ({}, 0.0),
    ],
)
def test_waits_are_read_in_every_form(headers, wait_s):
    """Seconds, dates and milliseconds; nonsense asks for nothing (H-08 to H-10)."""
    now = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

    assert retry_after_s(headers, now=now) == wait_s


def test_a_limit_refused_under_both_names_is_left_out():
    """A server that takes no limit on its output is asked without one."""
    known, full = Capabilities(), {"max_tokens": 4_000}
    for name in ("max_tokens", "max_completion_tokens"):
        assert known.learn(f"Unrecognized parameter: {name}", name, known.adapt(full))

    assert known.adapt(full) == {}
