"""What a scientist does with a frame or a trace: one file per word."""
