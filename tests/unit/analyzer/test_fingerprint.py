import re

from halo_daemon.analyzer.fingerprint import FindingKey, finding_id

KEY = FindingKey("tool_error", "support", "search", "TimeoutError", "timed out after <duration>")


def test_an_id_is_sixty_bits_of_crockford():
    """``F-`` and twelve characters without I, L, O and U."""
    assert re.fullmatch(r"F-[0-9A-HJKMNP-TV-Z]{12}", finding_id(KEY))


def test_an_id_never_changes():
    """The algorithm is versioned; this value may change only together with it."""
    assert finding_id(KEY) == "F-395AJ8W8MCCQ"


def test_every_part_counts():
    """A change of any part gives another id."""
    ids = {finding_id(KEY._replace(**{part: "other"})) for part in KEY._fields}

    assert len(ids | {finding_id(KEY)}) == len(KEY) + 1


def test_parts_do_not_run_together():
    """Moving a character from one part to the next gives another id."""
    left = finding_id(FindingKey("r", "ab", "c", "", ""))

    assert left != finding_id(FindingKey("r", "a", "bc", "", ""))
