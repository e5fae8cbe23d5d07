"""Pure functions of arrays: no streams, no psana, no state."""
