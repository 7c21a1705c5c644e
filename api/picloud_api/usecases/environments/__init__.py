"""Environments: what jobs find besides their own modules."""
