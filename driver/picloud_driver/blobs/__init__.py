"""Blobs: immutable bytes. The port, and an adapter a file."""

from picloud_driver.blobs.port import BlobPort, Presigned

__all__ = ["BlobPort", "Presigned"]
