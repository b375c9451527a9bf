"""
Where configuration values come from, and every mistake in them at once.

A flag wins over the environment, the environment over the file, the file over
the default. All four meet in one tree that remembers the place of each value;
the tree is checked whole, so one start shows every mistake.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from halo_daemon import config_keys
from halo_daemon.config import Config, ScheduleEntry
from halo_daemon.config_yaml import (
    MAX_CHARACTERS,
    MAX_DEPTH,
    Member,
    Node,
    Path as KeyPath,
    Place,
    Problem,
    key_text,
    read_document,
    read_scalar,
    read_value,
)
from halo_daemon.errors import ConfigError
from halo_daemon.quantities import FromFile, quoted

FILE_NAME = "halo-daemon.yaml"
SYSTEM_FILE = Path("/etc/halo-daemon/config.yaml")
PATH_VARIABLE = "HALO_DAEMON_CONFIG"
VARIABLE_PREFIX = "HALO_DAEMON__"

_MAX_REFERENCED_BYTES = 2**16
_REFERENCE = re.compile(r"\$(?P<literal>\$\{)|\$\{(?:(?P<kind>env|file):(?P<body>[^}]*)|[^}]*)\}")
_OTHERS_MAY_READ = 0o004

_FILE_RANK, _ENVIRONMENT_RANK, _FLAG_RANK = range(3)


@dataclass(frozen=True, slots=True)
class Loaded:
    """
    A configuration and how it came about.

    Attributes:
        config: The effective values, `data.dir` absolute.

        path: The file that was read; None when there is none.

        origins: By key, the place of every value that is not a default.

        warnings: What works but should be changed, one line each.
    """

    config: Config
    path: Path | None
    origins: Mapping[str, str]
    warnings: tuple[str, ...]


def load(
    path: Path | None, environ: Mapping[str, str], *, overrides: Mapping[str, str] | None = None
) -> Config:
    """
    Load the effective configuration; see `load_with_origins`.

    Raises:
        ConfigError: anything is wrong; it names every mistake.
    """
    return load_with_origins(path, environ, overrides=overrides or {}).config


def load_with_origins(
    path: Path | None, environ: Mapping[str, str], *, overrides: Mapping[str, str]
) -> Loaded:
    """
    Load the effective configuration and say where each value came from.

    Args:
        path: The file to read; None looks it up with `find_file`.

        environ: The environment: ``HALO_DAEMON__A__B=value`` sets ``a.b``, and
            ``${env:NAME}`` in a text is looked up here.

        overrides: Values from flags by dotted key, read as the file would be.

    Raises:
        ConfigError: anything is wrong; it names every mistake.
    """
    found = path or find_file(environ)
    draft = _Draft(environ)
    if found is not None:
        draft.read_file(found)
    for name in sorted(environ):
        if name.startswith(VARIABLE_PREFIX):
            keys = tuple(name.removeprefix(VARIABLE_PREFIX).lower().split("__"))
            draft.override(keys, environ[name], Place(_ENVIRONMENT_RANK, name))
    for key, text in overrides.items():
        draft.override(tuple(key.split(".")), text, Place(_FLAG_RANK, "flag"))
    return draft.finish(found)


def find_file(environ: Mapping[str, str]) -> Path | None:
    """
    Find the configuration file; None when there is none.

    A path in ``$HALO_DAEMON_CONFIG`` is taken as it is, also when no such file exists.
    """
    named = environ.get(PATH_VARIABLE, "")
    if named:
        return Path(named)
    home = Path(environ.get("HOME") or "/nonexistent")
    user_dir = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    places = (Path(FILE_NAME), user_dir / "halo-daemon" / "config.yaml", SYSTEM_FILE)
    return next((place for place in places if place.is_file()), None)


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """The state directory of the service, else of the user; may begin with ``~``."""
    service = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if service:
        return Path(service)
    state = environ.get("XDG_STATE_HOME", "")
    return Path(state, "halo-daemon") if state else Config().data.dir


@dataclass(slots=True)
class _Draft:
    """The tree while it is put together."""

    environ: Mapping[str, str]
    root: Node = field(default_factory=lambda: Node(Place(_FILE_RANK, ""), {}))
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def read_file(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                text = file.read(4 * MAX_CHARACTERS + 1).decode("utf-8-sig")
        except UnicodeDecodeError as exc:
            place = Place(_FILE_RANK, str(path), exc.object.count(b"\n", 0, exc.start) + 1, 1)
            self.problems.append(Problem(place, "", "the file is not UTF-8"))
            return
        except OSError as exc:
            raise ConfigError(
                f"cannot read the configuration {path}: {exc.strerror}",
                hint=f"check `--config` and ${PATH_VARIABLE}, or leave both out",
            ) from exc
        self.root, problems = read_document(text, str(path))
        self.problems += problems

    def override(self, keys: tuple[str, ...], text: str, place: Place) -> None:
        if len(keys) > MAX_DEPTH:
            self.problems.append(Problem(place, "", f"deeper than {MAX_DEPTH} levels"))
            return
        holder = self.root
        for key in keys[:-1]:
            members = cast("dict[str, Member]", holder.content)
            inner = members.get(key)
            if inner is None or not isinstance(inner.node.content, dict):
                inner = members[key] = Member(place, Node(place, {}))
            holder = inner.node
        cast("dict[str, Member]", holder.content)[keys[-1]] = Member(place, read_value(text, place))

    def finish(self, path: Path | None) -> Loaded:
        tree = _drop_nothing(self._plain(self.root, ()))
        config = self._validated(tree)
        self.problems += _reference_problems(self.root)
        if config is None or self.problems:
            raise _config_error(self.problems)
        origins = {key_text(path): str(place) for path, place in _leaves(self.root, ())}
        data_dir = config.data.dir if "data.dir" in origins else default_data_dir(self.environ)
        data = config.data.model_copy(update={"dir": self._absolute(data_dir)})
        warnings = tuple(str(warning) for warning in sorted(self.warnings))
        return Loaded(config.model_copy(update={"data": data}), path, origins, warnings)

    def _absolute(self, path: Path) -> Path:
        if path.parts[:1] != ("~",):
            return path.absolute()
        home = self.environ.get("HOME")
        if not home:
            raise ConfigError(
                "cannot tell where data go: $HOME is not set (`data.dir`)",
                hint="pass --data DIR",
            )
        return Path(home, *path.parts[1:]).absolute()

    def _plain(self, node: Node, path: KeyPath) -> Any:
        """The values alone, references resolved; lists become tuples, as the model has them."""
        content = node.content
        if isinstance(content, dict):
            return {key: self._plain(member.node, (*path, key)) for key, member in content.items()}
        if isinstance(content, list):
            return tuple(self._plain(item, (*path, index)) for index, item in enumerate(content))
        if isinstance(content, str):
            return self._expanded(node, content, path)
        return content

    def _expanded(self, node: Node, text: str, path: KeyPath) -> Any:
        key_field = config_keys.field_at(path)
        is_secret = key_field is not None and config_keys.is_secret(key_field)
        if "${" not in text:
            if is_secret:
                message = "a literal secret – write ${env:NAME} or ${file:/path}"
                self.warnings.append(Problem(node.place, key_text(path), message))
            return text

        def resolve(match: re.Match[str]) -> str:
            if match["literal"]:
                return match["literal"]
            try:
                return self._resolved(match, node, path, is_secret=is_secret)
            except ValueError as exc:
                self.problems.append(Problem(node.place, key_text(path), str(exc)))
                return ""

        expanded = _REFERENCE.sub(resolve, text)
        # Only a plain reference as a whole stands for a number or a boolean.
        is_whole = _REFERENCE.fullmatch(text) is not None and not node.is_quoted
        return read_scalar(expanded) if is_whole and not is_secret else expanded

    def _resolved(self, match: re.Match[str], node: Node, path: KeyPath, *, is_secret: bool) -> str:
        if match["kind"] == "env":
            name, has_fallback, fallback = match["body"].partition(":-")
            value = self.environ.get(name)
            if has_fallback:
                return value or fallback
            if value is None:
                raise ValueError(f"${name} is not set")
            return value
        if match["kind"] == "file":
            return self._file_text(Path(match["body"]), node, path, is_secret=is_secret)
        raise ValueError(
            f"{quoted(match[0])} is not a reference – write ${{env:NAME}} or ${{file:/path}}"
        )

    def _file_text(self, path: Path, node: Node, key: KeyPath, *, is_secret: bool) -> str:
        try:
            with path.open("rb") as file:
                content = file.read(_MAX_REFERENCED_BYTES + 1)
                mode = os.fstat(file.fileno()).st_mode
        except OSError as exc:
            raise ValueError(f"cannot read {path}: {exc.strerror}") from exc
        if len(content) > _MAX_REFERENCED_BYTES:
            raise ValueError(f"{path} is larger than {_MAX_REFERENCED_BYTES} bytes")
        if is_secret and mode & _OTHERS_MAY_READ:
            message = f"{path} holds a secret and may be read by others – chmod 600"
            self.warnings.append(Problem(node.place, key_text(key), message))
        try:
            return content.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise ValueError(f"{path} is not UTF-8") from None

    def _validated(self, tree: Mapping[str, Any]) -> Config | None:
        try:
            return Config.model_validate(tree, by_alias=True, by_name=False, context=FromFile())
        except ValidationError as exc:
            told = {(problem.key) for problem in self.problems if problem.key}
            for error in exc.errors(include_url=False, include_context=True):
                problem = _problem(error, self.root)
                # A reference that cannot be resolved is not also an empty text.
                if problem.key not in told:
                    self.problems.append(problem)
            return None


def _drop_nothing(value: Any, path: KeyPath = ()) -> Any:
    """Leave out known keys without a value: an emptied section means its defaults."""
    if isinstance(value, dict):
        model = config_keys.model_at(path)
        known = config_keys.known_keys(model) if model else value
        return {
            key: _drop_nothing(inner, (*path, key))
            for key, inner in value.items()
            if inner is not None or key not in known
        }
    if isinstance(value, tuple):
        return tuple(_drop_nothing(inner, (*path, place)) for place, inner in enumerate(value))
    return value


def _leaves(node: Node, path: KeyPath) -> Iterator[tuple[KeyPath, Place]]:
    if isinstance(node.content, dict):
        for key, member in node.content.items():
            yield from _leaves(member.node, (*path, key))
    elif node.content is not None:
        yield path, node.place


def _problem(error: Any, root: Node) -> Problem:
    path: KeyPath = error["loc"]
    key_place, place, node = _find(root, path)
    if error["type"] == "extra_forbidden":
        model = config_keys.model_at(path[:-1])
        known = config_keys.known_keys(model) if model else ()
        message = f"unknown key – {config_keys.nearest(str(path[-1]), known)}"
        return Problem(key_place, key_text(path), message)
    return Problem(place, key_text(path), _message(error, node))


def _find(root: Node, path: KeyPath) -> tuple[Place, Place, Node | None]:
    """The places of the key and of the value at *path*, or of what is nearest above."""
    key_place, node = root.place, root
    for part in path:
        if isinstance(node.content, dict) and part in node.content:
            key_place, node = node.content[str(part)]
        elif isinstance(node.content, list) and isinstance(part, int) and part < len(node.content):
            node = node.content[part]
            key_place = node.place
        else:
            return key_place, key_place, None
    return key_place, node.place, node


_WANTED = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "string_type": "text – put it in quotes",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "path_type": "a path",
}


def _message(error: Any, node: Node | None) -> str:
    kind, context = error["type"], error.get("ctx", {})
    key_field = config_keys.field_at(error["loc"])
    is_secret = key_field is not None and config_keys.is_secret(key_field)
    shown = "the value" if is_secret else _shown(error["input"])
    messages: dict[str, Callable[[], str]] = {
        "missing": lambda: "is required",
        "value_error": lambda: str(context["error"]),
        "literal_error": lambda: f"{shown} is not {context['expected'].replace(chr(39), '`')}",
        "greater_than_equal": lambda: f"{shown} is below the least, {context['ge']}",
        "less_than_equal": lambda: f"{shown} is above the most, {context['le']}",
        "too_short": lambda: "is empty",
    }
    if kind in messages:
        return messages[kind]()
    if kind in _WANTED:
        is_bare = node is not None and not node.is_quoted
        return f"{shown} is not {_WANTED[kind] if is_bare else _WANTED[kind].split(' – ')[0]}"
    return str(error["msg"])


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, tuple):
        return "a list"
    return quoted(str(value).lower() if isinstance(value, bool) else value)


def _reference_problems(root: Node) -> Iterable[Problem]:
    """Names that must be known, or must be different; reads only what has the right shape."""
    _, _, targets = _find(root, ("notify", "targets"))
    known = list(targets.content) if targets and isinstance(targets.content, dict) else []
    for path, node in _texts(root, ("notify", "routes"), "to"):
        if node.content not in known:
            message = f"no target {quoted(node.content)} – {config_keys.nearest(str(node.content), known)}"
            yield Problem(node.place, key_text(path), message)
    first: dict[object, Place] = {}
    unnamed = ScheduleEntry().name
    for path, node in _texts(root, ("analysis", "schedule"), "name", default=unnamed):
        if first.setdefault(node.content, node.place) is not node.place:
            yield Problem(node.place, key_text(path), f"a second entry {quoted(node.content)}")


def _texts(
    root: Node, path: KeyPath, key: str, *, default: str | None = None
) -> Iterator[tuple[KeyPath, Node]]:
    """Every text under *key*, or *default*, of the entries of the list at *path*."""
    _, _, entries = _find(root, path)
    if entries is None or not isinstance(entries.content, list):
        return
    for index, entry in enumerate(entries.content):
        node = _find(entry, (key,))[2] or Node(entry.place, default)
        items = node.content if isinstance(node.content, list) else [node]
        yield from (((*path, index, key), item) for item in items if isinstance(item.content, str))


def _config_error(problems: Iterable[Problem]) -> ConfigError:
    ordered = sorted(set(problems))
    diagnostics = tuple(str(problem) for problem in ordered)
    first_key = next((problem.key for problem in ordered if problem.key), "")
    count = len(diagnostics)
    return ConfigError(
        diagnostics[0] if count == 1 else f"{count} errors in the configuration",
        hint=f"halo-daemon config explain {first_key}" if first_key else "",
        diagnostics=diagnostics,
    )
