"""Nomad: the one gateway to it, and what it tells."""
