"""The deterministic rules, one file a family."""
