import pytest

from halo_daemon.errors import ConfigError
from halo_daemon.findings import Triage, in_force
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.triage import TriageFile

ONE, TWO = "F-7Q2K9M3XH4TA", "F-ABCDEFGHJKMN"
MUTED = Triage(
    state="muted", until="2026-12-31T00:00:00.000000000Z", note='known: "outage"', by="ann"
)


def path_of(root):
    """Where the file lies, its directory made."""
    path = DataPaths(root).project("p").triage
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_a_decision_is_read_back(tmp_path):
    """Every field survives, whatever is in the note."""
    TriageFile(tmp_path, "p").decide(ONE, MUTED)

    assert TriageFile(tmp_path, "p").read() == {ONE: MUTED}


def test_without_a_file_nothing_was_said(tmp_path):
    """No file, no decisions, and reading makes none."""
    assert TriageFile(tmp_path, "p").read() == {}
    assert not path_of(tmp_path).exists()


def test_other_lines_are_left_alone(tmp_path):
    """Comments and other findings stay as people wrote them."""
    path_of(tmp_path).write_text(
        "# ours\nfindings:\n"
        f"  # the printer\n  {TWO}:\n    state: acknowledged  # by phone\n    note: see wiki\n"
    )
    file = TriageFile(tmp_path, "p")

    file.decide(ONE, MUTED)
    file.decide(ONE, Triage(state="acknowledged"))

    text = path_of(tmp_path).read_text()
    assert "# the printer" in text
    assert "state: acknowledged  # by phone" in text
    assert file.read()[ONE] == Triage(state="acknowledged")
    assert file.read()[TWO].note == "see wiki"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"findings: # what we said\n  {TWO}:\n    state: muted\n", id="a comment"),
        pytest.param(f"\ufefffindings:\n  {TWO}:\n    state: muted\n", id="a byte order mark"),
        pytest.param(f"findings:\n    {TWO}:\n        state: muted\n", id="four spaces"),
        pytest.param(f"# ours\r\nfindings:\r\n  {TWO}:\r\n    state: muted\r\n", id="CRLF"),
        pytest.param(f"findings:\n  {TWO}: {{state: muted}}\nversion: 1\n", id="flow entries"),
        pytest.param(f'"findings":\n  "{TWO}":\n    state: muted\n', id="quotes"),
        pytest.param("version: 1\nfindings: {}  # nothing yet\n", id="nothing yet"),
        pytest.param("findings: ~\n", id="null"),
    ],
)
def test_a_command_leaves_a_file_written_by_hand_as_it_is_but_for_its_own_lines(tmp_path, text):
    """Whatever the style: the file can be read afterwards, and taking back restores the rest."""
    path = path_of(tmp_path)
    path.write_bytes(text.encode())
    file = TriageFile(tmp_path, "p")
    before = file.read()

    file.decide(ONE, MUTED)
    with_one = file.read()
    file.decide(ONE, Triage())

    assert with_one == {**before, ONE: MUTED}
    assert file.read() == before
    if before:
        assert path.read_bytes() == text.encode()


def test_a_file_that_cannot_be_changed_line_by_line_is_left_alone(tmp_path):
    """The command says so, instead of making a file that nobody can read."""
    text = f"findings: {{{TWO}: {{state: muted}}}}\n"
    path_of(tmp_path).write_text(text)

    with pytest.raises(ConfigError, match="not one id a line"):
        TriageFile(tmp_path, "p").decide(ONE, MUTED)

    assert path_of(tmp_path).read_text() == text


@pytest.mark.parametrize("note", ["a\u2028b", "\x85", "del \x7f", "\ufeff", "😀 ok", 'q " \\ \t'])
def test_a_note_of_any_characters_is_read_back(tmp_path, note):
    """None of them ends a line or a file early."""
    TriageFile(tmp_path, "p").decide(ONE, Triage(state="acknowledged", note=note))
    TriageFile(tmp_path, "p").decide(TWO, MUTED)

    assert TriageFile(tmp_path, "p").read()[ONE].note == note


def test_an_open_finding_has_no_block(tmp_path):
    """Taking a decision back removes it."""
    file = TriageFile(tmp_path, "p")
    file.decide(ONE, MUTED)
    file.decide(TWO, MUTED)

    file.decide(ONE, Triage())

    assert set(file.read()) == {TWO}
    assert ONE not in path_of(tmp_path).read_text()


@pytest.mark.parametrize(
    "text",
    [
        "findings: [",
        "findings:\n  F-1:\n    state: muted\n",
        f"findings:\n  {ONE}:\n    state: loud\n",
        f"findings:\n  {ONE}:\n    stat: muted\n",
        f"findings:\n  {ONE}: muted\n",
        f"findings:\n  {ONE}:\n    state: muted\n    until: 31.12.2026\n",
        f"findings:\n  {ONE}:\n    state: muted\n    until: never\n",
        f"findings: [{ONE}]\n",
        f"finding:\n  {ONE}:\n    state: muted\n",
    ],
)
def test_a_wrong_file_is_an_error_and_stays(tmp_path, text):
    """A mistake is named, and no command overwrites it."""
    path_of(tmp_path).write_text(text)
    file = TriageFile(tmp_path, "p")

    with pytest.raises(ConfigError, match=r"triage.yaml:[1-4]:\d+: ") as error:
        file.read()
    assert "validation error" not in str(error.value)
    with pytest.raises(ConfigError):
        file.decide(ONE, MUTED)

    assert path_of(tmp_path).read_text() == text
    decisions, mistakes = file.read_what_is_right()
    assert decisions == {}
    assert mistakes[0].startswith("triage.yaml:")


def test_a_slip_in_one_decision_undoes_no_other(tmp_path):
    """For a report the others hold, and what is wrong is said."""
    right, wrong = f"  {ONE}:\n    state: muted\n", f"  {TWO}:\n    state: mutde\n"
    path_of(tmp_path).write_text(f"findings:\n{right}{wrong}")

    decisions, mistakes = TriageFile(tmp_path, "p").read_what_is_right()

    assert decisions == {ONE: Triage(state="muted")}
    assert [mistake.split(": ")[:2] for mistake in mistakes] == [
        ["triage.yaml:4:3", f"findings.{TWO}.state"]
    ]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-12-31", "2026-12-31T00:00:00.000000000Z"),
        ("2026-12-31T08:30", "2026-12-31T08:30:00.000000000Z"),
        ("2026-12-31T08:30:00+02:00", "2026-12-31T06:30:00.000000000Z"),
        ("2026-12-31T00:00:00.000000001Z", "2026-12-31T00:00:00.000000001Z"),
        ("regressed", "regressed"),
    ],
)
def test_an_end_is_read_as_people_write_it(tmp_path, written, read):
    """A date, a time with its zone or in UTC; then it can be compared with now."""
    text = f"findings:\n  {ONE}:\n    state: muted\n    until: {written}\n"
    path_of(tmp_path).write_text(text)

    assert TriageFile(tmp_path, "p").read()[ONE].until == read


@pytest.mark.parametrize(
    ("until", "regressed", "state"),
    [
        ("2026-12-31", False, "muted"),
        ("2026-01-01", False, "open"),
        ("regressed", False, "muted"),
        ("regressed", True, "open"),
        (None, True, "muted"),
    ],
)
def test_a_mute_ends(until, regressed, state):
    """By its date, or when the finding regresses if so asked."""
    triage = Triage(state="muted", until=until)

    assert in_force(triage, "2026-11-20T10:00:00Z", regressed=regressed).state == state
