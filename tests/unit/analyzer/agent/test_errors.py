import inspect
import re

from halo_daemon.analyzer.agent import errors


def test_the_drawing_is_the_tree():
    """The tree on top of the module has every class, under its parent."""
    drawn: dict[str, str] = {}
    path: list[str] = []
    for line in errors.__doc__.splitlines():
        found = re.match(r"^( *)[*+-] (\w+)", line)
        if found:
            depth = len(found[1]) // 2
            path = [*path[:depth], found[2]]
            drawn[found[2]] = path[-2] if len(path) > 1 else ""
    classes = {
        name: kind.__bases__[0].__name__
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.EngineError)
    }

    assert {name: parent for name, parent in drawn.items() if name != "AnalysisError"} == classes
