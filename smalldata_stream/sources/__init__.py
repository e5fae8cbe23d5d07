"""Where batches of events come from: one file per place."""
