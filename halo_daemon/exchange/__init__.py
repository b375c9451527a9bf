"""Traces in and out besides the OTLP port: files of other tools, and files for them."""
