"""Sweepers: what deletes what was left behind, on the leader."""
