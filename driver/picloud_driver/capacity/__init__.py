"""Capacity: how many machines each core type has, by the work that there is."""
