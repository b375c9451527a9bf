"""Semantic conventions: from the attributes of any framework to canonical fields."""

from halo_daemon.proto.semconv.lint import LintReport, ScopeLint, lint
from halo_daemon.proto.semconv.projection import ScopeContext, project_span
from halo_daemon.proto.semconv.reprojection import project_fields
from halo_daemon.proto.semconv.told_of_spans import with_events_joined
from halo_daemon.proto.semconv.trace_pass import (
    TraceFacts,
    Usage,
    UsageMismatch,
    facts_of,
    with_usage_apart,
)

__all__ = [
    "LintReport",
    "ScopeContext",
    "ScopeLint",
    "TraceFacts",
    "Usage",
    "UsageMismatch",
    "facts_of",
    "lint",
    "project_fields",
    "project_span",
    "with_events_joined",
    "with_usage_apart",
]
