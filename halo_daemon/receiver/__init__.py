"""OTLP over gRPC and HTTP; knows a sink, not the store."""
