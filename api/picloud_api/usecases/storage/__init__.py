"""Blobs, buckets and volumes."""
