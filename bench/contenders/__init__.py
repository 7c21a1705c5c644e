"""Contenders: the same few methods over the project and over each peer, one module each."""
