"""Blobs: immutable bytes. The port, and one module per adapter."""

from picloud_driver.blob.port import BlobPort, Presigned

__all__ = ["BlobPort", "Presigned"]
