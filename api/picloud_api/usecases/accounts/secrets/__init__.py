"""Secrets that jobs name: those that users set, and those that sources mint for single jobs."""
