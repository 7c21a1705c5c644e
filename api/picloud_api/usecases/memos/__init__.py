"""Memos: which batches keys, and functions with their arguments, have made."""
