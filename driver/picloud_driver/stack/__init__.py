"""Stacks: the vendors' servers of one machine, started, found again and ended."""
