"""Graphs that scientists run: one file per experiment."""
