"""Runs a slot: leases jobs, runs them in children, reports what became of them."""
