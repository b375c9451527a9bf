"""Semantic conventions: from the attributes of any framework to canonical fields."""

from halo_daemon.proto.semconv.projection import ScopeContext, project_span

__all__ = ["ScopeContext", "project_span"]
