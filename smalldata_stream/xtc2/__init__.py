"""From the bytes of xtc2 files to columns of events."""
