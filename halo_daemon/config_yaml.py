"""
YAML text to a tree that remembers where everything stood; the only `yaml` import.

The usual loaders follow YAML 1.1, build values first and forget their places:
``22:00`` becomes 1320, ``on`` becomes True, the last of two equal keys wins in
silence. Here the node tree is composed, walked and kept. Only plain ``true``,
``false``, ``null``, whole numbers and decimals are typed; all else is text.
Anchors, aliases and tags are refused: they let a small file grow without bound.
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import yaml

MAX_CHARACTERS = 2**20
MAX_DEPTH = 20
MAX_NODES = 20_000

Scalar = None | bool | int | float | str
Path = tuple[str | int, ...]

_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})\.[0-9]{1,18}")
_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a text stands: a source and, in files, line and column from 1."""

    rank: int
    """Files come before the environment, the environment before flags."""
    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in a configuration."""

    place: Place
    key: str
    message: str

    def __str__(self) -> str:
        return ": ".join(filter(None, (str(self.place), self.key, self.message)))


@dataclass(slots=True)
class Node:
    """A value and where it begins."""

    place: Place
    content: "Scalar | list[Node] | dict[str, Member]"
    is_quoted: bool = False


class _Mark(Protocol):
    """A position of yaml's, counted from 0."""

    line: int
    column: int


class Member(NamedTuple):
    """A key's place and its value."""

    place: Place
    node: Node


def key_text(path: Path) -> str:
    """Write a path as people do: ``analysis.schedule[0].cron``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(
        "."
    )


def read_scalar(text: str) -> Scalar:
    """Type a plain scalar; what is neither number, boolean nor null is text."""
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text


def read_value(text: str, place: Place) -> Node:
    """
    Read the text of one value, as given by the environment or a flag.

    A list, a mapping or a quoted text is read as YAML; all else, an address such
    as ``[::1]:4317`` included, is a plain scalar.
    """
    if text.startswith(("[", "{", '"', "'")):
        node, problems = _read(text, place)
        if not problems:
            return node
    return Node(place, read_scalar(text))


def read_document(text: str, source: str) -> tuple[Node, list[Problem]]:
    """
    Read a whole file.

    Returns:
        Its tree, as far as it could be read, and all mistakes in the form. An empty
        file is an empty mapping.
    """
    start = Place(0, source, 1, 1)
    root, problems = _read(text, start)
    if root.content is None:
        root = Node(start, {})
    if not isinstance(root.content, dict):
        problems.append(Problem(root.place, "", "the file is not a mapping of keys to values"))
        root = Node(start, {})
    return root, problems


def _read(text: str, start: Place) -> tuple[Node, list[Problem]]:
    if len(text) > MAX_CHARACTERS:
        message = f"{len(text)} characters are above the most, {MAX_CHARACTERS}"
        return Node(start, None), [Problem(start, "", message)]
    walk = _Walk(start)
    try:
        composed = _Composer(text, walk).get_single_node()
    except _BoundError as exc:
        walk.report(exc.mark, (), str(exc))
    except yaml.MarkedYAMLError as exc:
        walk.report(exc.problem_mark or exc.context_mark, (), exc.problem or str(exc.context))
    except yaml.YAMLError as exc:
        walk.problems.append(Problem(start, "", str(exc).splitlines()[0]))
    else:
        if composed is not None:
            return walk.node(composed, ()), walk.problems
    return Node(start, None), walk.problems


@dataclass(slots=True)
class _Walk:
    """Turns composed nodes into ours, and collects what is wrong with them."""

    start: Place
    problems: list[Problem] = field(default_factory=list)

    def place(self, mark: _Mark | None) -> Place:
        if mark is None or not self.start.line:
            return self.start
        return Place(self.start.rank, self.start.source, mark.line + 1, mark.column + 1)

    def report(self, mark: _Mark | None, path: Path, message: str) -> None:
        self.problems.append(Problem(self.place(mark), key_text(path), message))

    def node(self, node: yaml.Node, path: Path) -> Node:
        place = self.place(node.start_mark)
        if isinstance(node, yaml.MappingNode):
            return Node(place, self._members(node, path))
        if isinstance(node, yaml.SequenceNode):
            return Node(
                place, [self.node(item, (*path, index)) for index, item in enumerate(node.value)]
            )
        is_plain = isinstance(node, yaml.ScalarNode) and node.style is None
        return Node(place, read_scalar(node.value) if is_plain else node.value, not is_plain)

    def _members(self, node: yaml.MappingNode, path: Path) -> dict[str, Member]:
        members: dict[str, Member] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.report(key.start_mark, path, "a key is text, not a list or a mapping")
                continue
            name = str(key.value)
            first = members.get(name)
            if first is not None:
                where = f"first at line {first.place.line}" if first.place.line else "given twice"
                self.report(key.start_mark, path, f'duplicate key "{name}" ({where})')
                continue
            members[name] = Member(self.place(key.start_mark), self.node(value, (*path, name)))
        return members


class _BoundError(Exception):
    """The text holds more than a configuration can need."""

    def __init__(self, mark: _Mark | None, message: str) -> None:
        super().__init__(message)
        self.mark = mark


class _Composer(yaml.SafeLoader):
    """Composes within the bounds, and leaves the typing of scalars to `read_scalar`."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 -- as the parent has it

    def __init__(self, text: str, walk: _Walk) -> None:
        super().__init__(text)
        self._walk = walk
        self._depth = 0
        self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node; what is refused is reported and left out."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        self._check_bounds(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            self.get_event()  # type: ignore[no-untyped-call]
            self._walk.report(event.start_mark, (), "aliases are refused – write the value out")
            return yaml.ScalarNode("", "", event.start_mark, event.end_mark)  # type: ignore[arg-type]
        if event.anchor is not None:
            self._walk.report(event.start_mark, (), "anchors are refused")
            event.anchor = None
        if event.tag not in {None, "!"}:
            self._walk.report(event.start_mark, (), "tags are refused")
            event.tag = None
        self._depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _check_bounds(self, mark: _Mark | None) -> None:
        self._nodes += 1
        if self._depth >= MAX_DEPTH:
            raise _BoundError(mark, f"deeper than {MAX_DEPTH} levels")
        if self._nodes > MAX_NODES:
            raise _BoundError(mark, f"more than {MAX_NODES} values")
