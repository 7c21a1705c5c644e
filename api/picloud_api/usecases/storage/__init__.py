"""Blobs and volumes."""
