"""Cron: jobs that run on a schedule."""
