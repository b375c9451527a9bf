"""Miner, findings and reports."""
