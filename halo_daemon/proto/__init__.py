"""OTLP decoding, semantic conventions and the canonical span line; pure."""
