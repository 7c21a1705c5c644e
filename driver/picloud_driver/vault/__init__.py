"""Vault: the one gateway to it."""
