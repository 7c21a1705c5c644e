"""Secrets: small values that must not leak. The port, and one module per adapter."""

from picloud_driver.secret.port import SecretPort

__all__ = ["SecretPort"]
