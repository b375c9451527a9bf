"""What people see: on a pseudo-terminal of a width, in a locale, with colour or without."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from rich.cells import cell_len

from halo_daemon.cli.output import _widths
from halo_daemon.cli.terminal import hoist_global_options
from halo_daemon.store.paths import DataPaths, day_of, shard_stem
from halo_daemon.store.receipts import encode_receipt
from halo_daemon.testing.spans import make_line, span_id_of, trace_id_of

NOW_NS = 1_788_000_000_000_000_000
EVER = ["--since", "2020-01-01"]
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_HOSTILE = "Müller \u202egnp.exe \x1b[31m\x9b2J[bold]x[/bold] :smile:" + "y" * 300
_WIDE = "検索ツール🙂❤️ 결과 " * 20


@pytest.fixture
def data(tmp_path) -> Path:
    """One project with a trace of three levels, whose names are long and hostile."""
    return stored(tmp_path, _HOSTILE)


@pytest.fixture
def wide(tmp_path) -> Path:
    """The same with names of characters that take two columns each."""
    return stored(tmp_path, _WIDE)


def stored(tmp_path: Path, name: str) -> Path:
    """Store one trace all of whose spans have that name."""
    root = tmp_path / "data"
    day = DataPaths(root).project("default").day(day_of(NOW_NS))
    day.directory.mkdir(parents=True)
    lines = [
        make_line(
            trace_id=trace_id_of(1),
            span_id=span_id_of(number),
            parent_span_id=span_id_of(parent) if parent else "",
            name=name,
            status_code="STATUS_CODE_ERROR" if number == 3 else "STATUS_CODE_OK",
        )
        for number, parent in ((1, 0), (2, 1), (3, 2), (4, 1))
    ]
    stem = shard_stem(NOW_NS, worker=0, sequence=1)
    size_bytes = day.plain(stem).write_bytes(b"".join(lines))
    day.receipts(stem).write_bytes(encode_receipt(size_bytes, NOW_NS))
    return root


def run(data: Path, *arguments: str, terminal: bool, **environ: str) -> str:
    """What a command prints on stdout, which is a terminal or a pipe."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = [sys.executable, "-m", "halo_daemon", *arguments, "--data", str(data)]
    environ = {**kept, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "TZ": "UTC", **environ}
    if not terminal:
        return subprocess.run(
            command, env=environ, stdout=subprocess.PIPE, check=True
        ).stdout.decode(errors="replace")
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb") as screen:
        child = subprocess.Popen(command, env=environ, stdout=theirs)
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = screen.read1()
            except OSError:
                break
            if not part:
                break
            shown += part
        assert child.wait() == 0
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize(
    "verb",
    [("trace", "show", "0"), ("trace", "list", *EVER), ("project", "list"), ("store", "stats")],
    ids=lambda verb: "-".join(verb[:2]),
)
def test_tables_and_trees_fit_the_terminal(data, verb, columns):
    """No row is wider than the screen, and no control character of a name gets through."""
    shown = run(data, *verb, terminal=True, COLUMNS=str(columns))

    plain = _ESCAPE.sub("", shown)
    assert max(len(line) for line in plain.split("\n")[1:]) <= columns
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", plain)


def test_wide_characters_fit_the_terminal(wide):
    """Columns are counted as a terminal does, two for each CJK character and emoji."""
    shown = _ESCAPE.sub("", run(wide, "trace", "show", "0", terminal=True, COLUMNS="60"))

    assert "検索" in shown
    assert max(cell_len(line) for line in shown.split("\n")[1:]) <= 60


def test_a_tree_shows_who_called_whom(data):
    """Branches lead from parents to children; the span with an error says so in a word."""
    shown = run(data, "trace", "show", "0", terminal=True, COLUMNS="80", NO_COLOR="1")

    rows = shown.splitlines()[1:]
    assert [re.match("[│├└ ]*", row)[0] for row in rows] == ["", "├ ", "│ └ ", "└ "]
    assert [" error " in row for row in rows] == [False, False, True, False]
    assert "[bold]" in run(data, "trace", "show", "0", terminal=True, COLUMNS="200")


def test_a_locale_without_utf8_gets_ascii_on_a_terminal(data):
    """Under LC_ALL=C branches are drawn in ASCII; letters that it lacks are escaped."""
    shown = run(data, "trace", "show", "0", terminal=True, LC_ALL="C", COLUMNS="80")

    assert shown.isascii()
    assert "| ` " in _ESCAPE.sub("", shown)
    assert r"M\xfcller" in shown


@pytest.mark.parametrize("encoding", ["utf-8", "ascii:strict", "latin-1"])
def test_a_pipe_is_never_cut_and_never_fails(data, encoding):
    """In a pipe a name is whole, whatever the encoding of stdout, and times are ISO."""
    environ = {"PYTHONIOENCODING": encoding, "COLUMNS": "40"}
    shown = run(data, "trace", "show", "0", terminal=False, **environ)

    assert "\x1b" not in shown
    assert re.search(r"\t\d{4}-\d\d-\d\dT[\d:.]+Z\t", shown)
    assert "y" * 300 in shown


def test_the_color_option_wins_over_the_environment(data):
    """`--color` stands before `NO_COLOR`, which stands before `FORCE_COLOR`; after the verb too."""
    show = ("trace", "show", "0")

    assert "\x1b" in run(data, *show, terminal=True)
    assert "\x1b" not in run(data, *show, terminal=True, NO_COLOR="1", FORCE_COLOR="1")
    assert "\x1b" in run(data, *show, "--color", "always", terminal=True, NO_COLOR="1")
    assert "\x1b" not in run(data, *show, "--color=never", terminal=True, FORCE_COLOR="1")
    assert "\x1b[31merror" in run(data, *show, "--color=always", terminal=False)


def test_times_for_people_name_their_zone(data):
    """The local zone is written beside the time; `--utc` makes it UTC."""
    zone = {"TZ": "Europe/Berlin"}

    assert re.search(r":\d\d CES?T ", run(data, "trace", "show", "0", terminal=True, **zone))
    assert " UTC " in run(data, "trace", "show", "0", "--utc", terminal=True, **zone)


def test_a_reader_that_leaves_is_no_error(data):
    """`… | head` ends without a word on stderr."""
    command = [sys.executable, "-m", "halo_daemon", "trace", "show", "0", "--data", str(data)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.close()
    _, said = child.communicate()

    assert said == b""


@pytest.mark.parametrize(
    "verb",
    [
        ("trace", "list", "--project", "nosuch"),
        ("trace", "show", "ffff"),
        ("project", "show", "nosuch"),
        ("store", "stats", "--project", "nosuch"),
        ("tail", "--project", "nosuch"),
        ("export", "halo", "--project", "nosuch"),
        ("analyze", "--project", "nosuch"),
        ("finding", "show", "F-NONE"),
        ("import", "otlp", "nosuch.json"),
    ],
    ids=lambda verb: "-".join(verb[:2]),
)
def test_a_name_that_is_not_there_is_wrong_usage(data, verb):
    """Whatever was named, exit 2, one error and one remedy."""
    command = [sys.executable, "-m", "halo_daemon", *verb, "--data", str(data)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)

    assert done.returncode == 2
    assert "error: cannot " in done.stderr
    assert "\nTry: " in done.stderr


_words = st.lists(st.sampled_from(["--utc", "--color", "always", "--color=never", "x", "--json"]))


@given(before=_words, after=_words)
def test_global_options_move_and_nothing_is_lost(before, after):
    """Hoisting only reorders, keeps what stands after `--`, and is done after once."""
    arguments = [*before, "--", *after]
    hoisted = hoist_global_options(arguments)

    assert sorted(hoisted) == sorted(arguments)
    assert hoisted[len(hoisted) - len(after) :] == after
    assert hoist_global_options(hoisted) == hoisted


@given(
    cells=st.lists(st.lists(st.text(max_size=60), min_size=3, max_size=3), max_size=5),
    most=st.integers(20, 200),
)
def test_columns_fit_whatever_is_in_them(cells, most):
    """Widths with their gaps never exceed the line, and none is nothing."""
    widths = _widths(("a", "long heading", "c"), cells, most)

    assert sum(widths) + 2 <= most
    assert min(widths) > 0


@pytest.mark.parametrize(
    ("long_text", "most", "widths"),
    [
        pytest.param(100, 60, [8, 6, 44], id="a text that is cut all the same"),
        pytest.param(40, 54, [6, 6, 40], id="a text that fits without the heading"),
    ],
)
def test_headings_give_way_only_to_spare_a_value(long_text, most, widths):
    """A heading is cut where that leaves every value whole, not where a long text is cut anyway."""
    row = ["high", "F-3NTY", "t" * long_text]

    assert _widths(("severity", "which", "title"), [row], most) == widths
