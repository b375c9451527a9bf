"""Shards, index, queries: the data directory."""
