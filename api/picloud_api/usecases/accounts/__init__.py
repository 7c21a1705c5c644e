"""Accounts, API keys, job tokens and slot tokens."""
