"""The contract file of a project, read."""

from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from halo_daemon.analyzer.contract import NO_CONTRACT, Contract, Ignore
from halo_daemon.config_yaml import read_document
from halo_daemon.errors import ConfigError
from halo_daemon.findings import until_of
from halo_daemon.store.triage import plain

_MAX_BYTES = 1024**2
_CONTRACT = TypeAdapter(Contract)


def contract_of(document: object) -> Contract:
    """
    Check a parsed contract file.

    Raises:
        ValueError: It is not a contract; the message names every mistake.
    """
    contract = _CONTRACT.validate_python(document or {})
    return replace(contract, ignore=tuple(map(_dated, contract.ignore)))


def _dated(ignore: Ignore) -> Ignore:
    """The same with its end in canonical form: others would end at any time, or never."""
    if ignore.until is None:
        return ignore
    until = until_of(ignore.until)
    if until == "regressed":
        raise ValueError("`until` is `regressed`: what the file ignores ends at a time")
    return replace(ignore, until=until)


def read_contract(path: Path) -> Contract:
    """
    Read what a project states about its tools; nothing while there is no file.

    Raises:
        ConfigError: The file is not a contract; it names every mistake.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES + 1).decode("utf-8-sig")
    except FileNotFoundError:
        return NO_CONTRACT
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"cannot read the contract {path}: {exc}") from exc
    root, problems = read_document(text, str(path))
    mistakes = [str(problem) for problem in problems]
    try:
        if not mistakes:
            return contract_of(plain(root))
    except ValidationError as exc:
        mistakes = [
            f"{path}: {'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors()
        ]
    except ValueError as exc:
        mistakes = [f"{path}: ignore: {exc}"]
    raise ConfigError(
        f"cannot read the contract {path}: {mistakes[0]}",
        hint="correct the lines named above, or remove the file",
        diagnostics=tuple(mistakes),
    )
