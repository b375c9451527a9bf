"""The soak itself: it passes where nothing is lost, and it notices what is."""

import argparse
import asyncio

import pytest

from bench.soak import Sent, Soak, verdict_on
from halo_daemon.store.trace_reader import Window

BATCH = 10
ARGUMENTS = argparse.Namespace(
    minutes=0.1, restart_every=1.5, keep="1GiB", streams=4, batch=BATCH, span_bytes=700,
    generation_s=2.0, seed=3, verbose=False,
)  # fmt: skip


@pytest.mark.slow
def test_a_short_soak_loses_nothing_and_a_batch_that_was_never_sent_is_missed(tmp_path):
    """Acknowledged spans are read back through restarts; one that is not there is counted."""
    data = tmp_path / "data"
    soak = Soak(ARGUMENTS, data)
    asyncio.run(soak.run(rate=500.0, with_crashes=True))

    assert sum(part.restarts for part in soak.parts) > 0
    assert sum(each.acknowledged for each in soak.verdicts) > 0
    assert [each.missing + each.doubled for each in soak.verdicts] == [0] * len(soak.verdicts)

    never_sent = Sent(1, Window(0, 2**62), {0, 10**6}, BATCH)
    assert verdict_on(data, never_sent).missing == BATCH
