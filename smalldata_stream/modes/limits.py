"""When a batch job gives up."""

MAX_FAILURES = 0.1
"""The share of events on which one node may fail."""
