"""Secrets: small values that must not leak. The port, and an adapter a file."""

from picloud_driver.secrets.port import SecretPort

__all__ = ["SecretPort"]
