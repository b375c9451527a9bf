"""OTLP over gRPC and HTTP; knows a sink, not the store."""

import os

# Read when gRPC is imported. What its core prints about connections is no JSON, and any peer
# can make it print.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
