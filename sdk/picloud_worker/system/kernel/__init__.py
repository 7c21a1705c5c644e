"""What the kernel knows of a slot: its log, and what went over its network."""
