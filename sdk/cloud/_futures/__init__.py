"""Waiting for jobs in the ways of `concurrent.futures`."""
