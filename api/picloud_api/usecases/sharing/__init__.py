"""Sharing: what jobs and programs of an account have in common while they run."""
