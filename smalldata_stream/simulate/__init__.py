"""A simulated run, written as real xtc2 files, with its truth beside it."""
