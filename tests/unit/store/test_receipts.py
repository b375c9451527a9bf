import pytest

from halo_daemon.store.receipts import decode_receipts, encode_receipt, read_receipts

TWO = encode_receipt(100, 1_000) + encode_receipt(250, 2_000)


@pytest.mark.parametrize(
    ("end_offset", "received"),
    [(1, 1_000), (100, 1_000), (101, 2_000), (250, 2_000), (9_999, 2_000)],
)
def test_each_line_has_the_receipt_of_its_group(end_offset, received):
    """A line belongs to the first record that reaches its end; the last record speaks on."""
    assert decode_receipts(TWO, opened_unix_ns=7).received_at(end_offset) == received


@pytest.mark.parametrize(
    ("data", "records"),
    [
        pytest.param(b"", 0, id="empty"),
        pytest.param(TWO[:15], 0, id="cut-in-the-first"),
        pytest.param(TWO[:20], 1, id="cut-in-the-second"),
        pytest.param(TWO + TWO, 2, id="offsets-that-go-back"),
        pytest.param(TWO + b"\0" * 16, 2, id="zeros"),
        pytest.param(b"\xff" * 32, 0, id="noise"),
        pytest.param(b"\0" * 48, 0, id="only-zeros"),
    ],
)
def test_a_damaged_sidecar_is_read_as_far_as_it_makes_sense(data, records):
    """Nothing a crash leaves raises; without a record the time of opening counts."""
    receipts = decode_receipts(data, opened_unix_ns=7)

    assert len(receipts.end_offsets) == records
    assert receipts.received_at(1) == (1_000 if records else 7)


def test_a_missing_sidecar_is_empty(tmp_path):
    """Where there is no file, the time of opening counts for all."""
    receipts = read_receipts(tmp_path / "none", opened_unix_ns=7)

    assert receipts.received_at(10**9) == 7


FIRST, SECOND = encode_receipt(100, 1_000), encode_receipt(250, 2_000)


@pytest.mark.parametrize(
    ("data", "size", "now", "whole"),
    [
        pytest.param(FIRST * 2 + SECOND, 180, 0, 100, id="cut-short"),
        pytest.param(FIRST * 2 + SECOND, 250, 0, 250, id="written-and-not-told"),
        pytest.param(FIRST, 99, 0, 0, id="the-first-group"),
        pytest.param(FIRST + SECOND, 180, 0, 100, id="of-a-version-that-noted-once"),
        pytest.param(FIRST * 2 + SECOND * 2, 180, 0, 180, id="stored-and-damaged-later"),
        pytest.param(FIRST * 2 + SECOND * 2, 180, 180, 180, id="damaged-and-looked-at"),
        pytest.param(FIRST * 2 + SECOND * 2, 180, 250, 100, id="finished-meanwhile"),
        pytest.param(FIRST * 2 + SECOND, 80, 0, 80, id="damaged-before-the-last-group"),
        pytest.param(FIRST * 2 + SECOND + SECOND[:5], 180, 0, 180, id="half-a-second-note"),
        pytest.param(FIRST * 2 + SECOND + bytes(16), 180, 0, 180, id="zeros-behind"),
        pytest.param(FIRST * 2, 180, 0, 180, id="receipts-lost-behind"),
        pytest.param(b"", 180, 0, 180, id="no-receipts"),
        pytest.param(encode_receipt(2**40, 1) + FIRST, 99, 0, 99, id="a-bit-flipped"),
    ],
)
def test_only_a_group_that_is_known_not_to_be_stored_counts_as_cut(data, size, now, whole):
    """Whatever the sidecar holds, lines go only with a group that was begun and not finished."""
    receipts = decode_receipts(data, opened_unix_ns=7)

    assert receipts.whole_to(size, length_now_bytes=now) == whole
