"""All conventions, in no particular order: precedence is a field of each."""

from typing import Final

from halo_daemon.proto.semconv.conventions.genai import GENAI
from halo_daemon.proto.semconv.conventions.halo import HALO
from halo_daemon.proto.semconv.conventions.openinference import OPENINFERENCE
from halo_daemon.proto.semconv.conventions.plain import PLAIN
from halo_daemon.proto.semconv.rows import Convention

CONVENTIONS: Final[tuple[Convention, ...]] = (HALO, OPENINFERENCE, GENAI, PLAIN)
