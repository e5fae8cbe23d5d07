"""Plots: what a scientist looks at, live over a window and in batch over the run."""
