"""Examining a stack of this machine: what works, and what to do about the rest."""
