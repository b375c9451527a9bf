"""Sample agents with known failures: what `halo-daemon demo` sends through the OTLP ports."""
