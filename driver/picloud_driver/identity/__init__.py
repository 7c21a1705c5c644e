"""Identities: an issuer says who a person is. The port, and one module per adapter."""

from picloud_driver.identity.off import NoIssuer
from picloud_driver.identity.port import IdentityPort, IssuedIdentity, IssuerAccess, SignInAttempt

__all__ = ["IdentityPort", "IssuedIdentity", "IssuerAccess", "NoIssuer", "SignInAttempt"]
