"""
Counts in the Prometheus text format; the only module that knows the library.

What is measured belongs to those who count; they hand over families of plain numbers.
Nothing is sent anywhere: whoever wants the numbers asks for them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


class Kind(StrEnum):
    """How a number moves."""

    COUNTER = "counter"
    """Up only, from 0 at the start of the process."""

    GAUGE = "gauge"
    """Up and down."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One number, told apart from the others of its family by its labels."""

    value: float
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Family:
    """Numbers of one meaning; all have the same label names, in the same order."""

    name: str
    """Without prefix and, for counters, without ``_total``."""

    help: str
    kind: Kind
    samples: tuple[Sample, ...]


def render(families: Iterable[Family]) -> bytes:
    """The text that a scrape gets; names are prefixed with ``halo_``."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Given(families))
    return generate_latest(registry)


class _Given(Collector):
    """Hands the library what it was given."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = tuple(families)

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            labels = tuple(family.samples[0].labels) if family.samples else ()
            make = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
            metric = make(f"halo_{family.name}", family.help, labels=labels)
            for sample in family.samples:
                metric.add_metric([sample.labels[label] for label in labels], sample.value)
            yield metric
