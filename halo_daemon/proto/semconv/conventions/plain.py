"""What OpenTelemetry's general conventions say of any span."""

from typing import Final

from halo_daemon.proto.semconv import targets
from halo_daemon.proto.semconv.readers import HTTP_STATUS, STATED
from halo_daemon.proto.semconv.rows import Convention, row

PLAIN: Final = Convention(
    id="PL",
    title="OpenTelemetry, general",
    rank=90,
    rows=(
        row(targets.USER, "user.id", "enduser.id"),
        row(targets.FAILURE, "error.type", "error.message", read=STATED),
        row(targets.FAILURE, "http.response.status_code", "http.status_code", read=HTTP_STATUS),
    ),
)
