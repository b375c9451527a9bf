import orjson
import pytest

from halo_daemon.store.paths import DataPaths
from halo_daemon.store.receipts import encode_receipt, read_receipts
from halo_daemon.store.reproject import reproject
from halo_daemon.testing.canonical_line import check_line
from halo_daemon.testing.spans import make_fields, make_line, span_id_of

NOW = 1_790_000_000_000_000_000
STEM = "101500Z-w0-000001"
OLD_MAPPING = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "small"}


def _older_line():
    """A model call, as a version that knew no such calls wrote it: as it was sent, then nothing."""
    fields = make_fields(span_id=span_id_of(2), project="p")
    fields["attributes"] = OLD_MAPPING | fields["attributes"]
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


@pytest.fixture
def project(tmp_path):
    """One shard: a line with nothing to be said of, one of an older mapping, and no line."""
    paths = DataPaths(tmp_path).project("p")
    day = paths.day("2026-01-01")
    day.directory.mkdir(parents=True)
    lines = [
        make_line(span_id=span_id_of(1), project="p"),
        _older_line(),
        b"not a span\n",
    ]
    day.plain(STEM).write_bytes(b"".join(lines))
    ends = [sum(map(len, lines[: i + 1])) for i in range(3)]
    records = (encode_receipt(end, NOW + i) for i, end in enumerate(ends))
    day.receipts(STEM).write_bytes(b"".join(records))
    return paths


def _shard(project):
    day = project.day("2026-01-01")
    (stem,) = day.stems()
    return day, stem, day.plain(stem).read_bytes().splitlines(keepends=True)


def test_an_older_line_reads_as_this_version_would_write_it(project):
    """Kind and model are filled in, under a new name; other lines keep their bytes."""
    _, _, before = _shard(project)

    done = reproject(project, now_unix_ns=NOW)

    _, stem, after = _shard(project)
    assert (done.shards, done.spans, done.shards_in_use) == (1, 1, 0)
    assert stem != STEM
    attributes = orjson.loads(after[1])["attributes"]
    assert attributes["inference.observation_kind"] == "LLM"
    assert attributes["inference.llm.model_name"] == "small"
    assert [after[0], after[2]] == [before[0], before[2]]
    check_line(after[1])


def test_times_of_receipt_stay(project):
    """Each line keeps the time at which it came, though offsets move."""
    reproject(project, now_unix_ns=NOW)

    day, stem, lines = _shard(project)
    receipts = read_receipts(day.receipts(stem), opened_unix_ns=0)
    ends = [sum(map(len, lines[: i + 1])) for i in range(3)]
    assert [receipts.received_at(end) for end in ends] == [NOW, NOW + 1, NOW + 2]


def test_a_second_run_changes_nothing(project):
    """What was read anew reads the same again."""
    reproject(project, now_unix_ns=NOW)
    before = _shard(project)

    assert reproject(project, now_unix_ns=NOW) == (0, 0, 0)
    assert _shard(project) == before


def test_a_dry_run_changes_nothing(project):
    """It tells what would change and leaves every byte."""
    before = _shard(project)

    done = reproject(project, now_unix_ns=NOW, dry_run=True)

    assert (done.shards, done.spans) == (1, 1)
    assert _shard(project) == before
