"""The scheduler of the embedded stack: slots are processes of this machine."""
