"""From DAQ values to calibrated frames and named scalars: one file per family."""
