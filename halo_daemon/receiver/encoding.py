"""How a request, and with it its answer, is written."""

from enum import StrEnum

from halo_daemon.proto.otlp_response import Answer


class Encoding(StrEnum):
    """How a body is written."""

    PROTOBUF = "protobuf"
    JSON = "json"

    def of(self, answer: Answer) -> bytes:
        """The body of *answer* in this encoding."""
        return answer.json if self is Encoding.JSON else answer.protobuf
