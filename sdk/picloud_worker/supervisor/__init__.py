"""Runs a slot: leases jobs, runs them in children, and reports how they ended."""
