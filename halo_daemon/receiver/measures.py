"""
What the receiver counts, as families of numbers.

The conservation law holds for every transport: ``received = accepted + refused +
failed``, in spans.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from halo_daemon.metrics import Family, Kind, Sample
from halo_daemon.receiver.counters import IngestCounters, Transport, TransportCounts
from halo_daemon.receiver.intake import Intake
from halo_daemon.receiver.other_signals import OtherSignals

_PLAIN: Final[tuple[tuple[str, str, Callable[[TransportCounts], int]], ...]] = (
    ("receiver_requests", "Trace requests answered.", lambda counts: counts.requests),
    ("receiver_body_bytes", "Bytes of bodies as they came.", lambda counts: counts.received_bytes),
    ("receiver_received_spans", "Spans that could be decoded.", lambda counts: counts.received),
    ("receiver_accepted_spans", "Spans stored durably.", lambda counts: counts.accepted),
)
_BY_REASON: Final[tuple[tuple[str, str, Callable[[TransportCounts], Mapping[str, int]]], ...]] = (
    ("receiver_refused_spans", "Spans refused one by one.", lambda counts: counts.refused),
    ("receiver_failed_spans", "Spans of requests not stored.", lambda counts: counts.failed),
    (
        "receiver_failed_requests",
        "Requests answered with an error.",
        lambda counts: counts.failed_requests,
    ),
    ("receiver_repairs", "Oddities repaired or passed over.", lambda counts: counts.warnings),
)


def families(
    counters: IngestCounters, intake: Intake, others: OtherSignals, diverted: Mapping[str, int]
) -> list[Family]:
    """
    Every number of one receiver.

    Args:
        counters: What came in and what became of it.
        intake: What is in work.
        others: What was dropped of other signals.
        diverted: Resources whose project nobody chose, by event.
    """
    each = [(transport, counters.of(transport)) for transport in Transport]
    plain = [
        _counter(
            name, text, (({"transport": transport}, read(counts)) for transport, counts in each)
        )
        for name, text, read in _PLAIN
    ]
    by_reason = [
        _counter(
            name,
            text,
            (
                ({"transport": transport, "reason": reason}, number)
                for transport, counts in each
                for reason, number in sorted(read(counts).items())
            ),
        )
        for name, text, read in _BY_REASON
    ]
    return [
        *plain,
        *by_reason,
        _counter(
            "receiver_dropped_records",
            "Records of other signals.",
            (({"signal": signal}, number) for signal, number in sorted(others.dropped.items())),
        ),
        _counter(
            "receiver_diverted_resources",
            "Resources whose project nobody chose.",
            (({"event": event}, number) for event, number in sorted(diverted.items())),
        ),
        _gauge("receiver_open_requests", "Requests between head and answer.", intake.open),
        _gauge("receiver_working_requests", "Requests being decoded or stored.", intake.working),
        _gauge("receiver_held_bytes", "Bytes of bodies in memory.", intake.held_bytes),
    ]


def _counter(name: str, text: str, samples: Iterable[tuple[dict[str, str], int]]) -> Family:
    return Family(
        name, text, Kind.COUNTER, tuple(Sample(number, labels) for labels, number in samples)
    )


def _gauge(name: str, text: str, number: float) -> Family:
    return Family(name, text, Kind.GAUGE, (Sample(number, {}),))
