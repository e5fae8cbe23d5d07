"""Benchmarks: each prints its figures beside those of a peer in the same run."""
