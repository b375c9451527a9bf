"""
Numbers of several receiving processes, added up by whichever one is asked.

All workers listen on one port, so the kernel decides which of them a scrape reaches.
Each writes its numbers beside the data once a second; the one that is asked adds those
of the others to its own.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import orjson

from halo_daemon.metrics import Family, Kind, Sample

_Key = tuple[tuple[str, str], ...]


class SharedMeasures:
    """
    The numbers of one process, and those of its siblings.

    Args:
        directory: Where each process has its file; made when first needed.
        worker: The number of this process.
    """

    def __init__(self, directory: Path, worker: int) -> None:
        self._directory = directory
        self._own = directory / f"{worker}.json"

    def publish(self, families: Iterable[Family]) -> None:
        """
        Let the siblings see *families*.

        Raises:
            OSError: The file cannot be written.
        """
        self._directory.mkdir(exist_ok=True)
        temporary = self._own.with_suffix(".tmp")
        temporary.write_bytes(orjson.dumps([_plain(family) for family in families]))
        temporary.replace(self._own)

    def retire(self) -> None:
        """Take the own numbers back."""
        self._own.unlink(missing_ok=True)

    def merged(self, own: Sequence[Family]) -> list[Family]:
        """*own* with the siblings' numbers added, family by family and label by label."""
        sums = {family.name: _by_labels(family.samples) for family in own}
        for path in self._directory.glob("*.json"):
            if path != self._own:
                for name, samples in _read(path):
                    _add(sums.setdefault(name, {}), samples)
        return [
            Family(
                family.name,
                family.help,
                family.kind,
                tuple(Sample(value, dict(key)) for key, value in sums[family.name].items()),
            )
            for family in own
        ]


def storage_family(pending_bytes: int) -> Family:
    """What waits for the disk."""
    text = "Bytes accepted and not yet on disk."
    return Family("store_pending_bytes", text, Kind.GAUGE, (Sample(pending_bytes, {}),))


def clear(directory: Path) -> None:
    """Remove what processes of an earlier start left."""
    for path in directory.glob("*.json"):
        path.unlink(missing_ok=True)


def _plain(family: Family) -> dict[str, object]:
    samples = [[sample.value, dict(sample.labels)] for sample in family.samples]
    return {"name": family.name, "samples": samples, "pid": os.getpid()}


def _read(path: Path) -> list[tuple[str, list[Sample]]]:
    try:
        entries = orjson.loads(path.read_bytes())
        return [
            (entry["name"], [Sample(value, labels) for value, labels in entry["samples"]])
            for entry in entries
        ]
    except (OSError, ValueError, KeyError, TypeError):
        # A sibling that just ended takes its numbers with it.
        return []


def _by_labels(samples: Iterable[Sample]) -> dict[_Key, float]:
    sums: dict[_Key, float] = {}
    _add(sums, samples)
    return sums


def _add(sums: dict[_Key, float], samples: Iterable[Sample]) -> None:
    for sample in samples:
        key = tuple(sample.labels.items())
        sums[key] = sums.get(key, 0.0) + sample.value
