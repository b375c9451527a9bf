"""Public doubles for tests: in memory, scripted, deterministic."""
