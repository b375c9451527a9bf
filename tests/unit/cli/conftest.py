"""Commands run with a stderr of their own: the log takes the real one before any test."""

import halo_daemon.log  # noqa: F401
