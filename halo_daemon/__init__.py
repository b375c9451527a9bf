"""OTLP receiver and failure analyzer for LLM agents."""

__version__ = "0.1.0"
