"""What a program shows while it waits: a progress bar, and the output of its jobs."""
