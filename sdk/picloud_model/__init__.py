"""Frozen values and pure rules that every room shares: no input, no output, no vendors."""
