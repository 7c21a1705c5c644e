"""Accounts, API keys and job tokens."""
