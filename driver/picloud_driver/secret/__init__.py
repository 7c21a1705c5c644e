"""Secrets: small values that must not leak. The port, and one module per adapter."""

from picloud_driver.secret.port import MintedSecret, SecretPort, SecretRole

__all__ = ["MintedSecret", "SecretPort", "SecretRole"]
