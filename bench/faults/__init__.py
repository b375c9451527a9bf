"""Failures injected into sample runs at known rates, and what the miner makes of them."""
