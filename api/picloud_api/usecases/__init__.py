"""Usecases: what the platform does, free of HTTP and of vendors."""
