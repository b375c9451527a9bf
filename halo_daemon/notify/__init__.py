"""Delivery of findings to the outside."""
