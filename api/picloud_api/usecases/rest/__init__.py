"""Functions that are published as web services."""
