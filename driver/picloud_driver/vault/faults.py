"""The faults of Vault, and what to do about each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hvac.exceptions import (
    BadGateway,
    Forbidden,
    InternalServerError,
    InvalidPath,
    InvalidRequest,
    RateLimitExceeded,
    Unauthorized,
    UnexpectedError,
    VaultDown,
    VaultError,
    VaultNotInitialized,
)
from requests import exceptions as http

from picloud_driver.fault_table import Fault, error_for

if TYPE_CHECKING:
    from picloud_model.errors import PiCloudError

OLD_VERSION: Final = "check-and-set parameter did not match"
IN_USE: Final = "path is already in use"
CONFIGURED: Final = "already configured"
"""Said of the key of an SSH engine."""
NO_LEASE: Final = "lease not found"
"""Said of a lease that has ended."""
UPGRADING: Final = "Upgrading from non-versioned"
"""Said for a moment after the mount was made."""


_REFUSED: Final = "our token is wrong, expired or revoked: give the server a new one"
_MORTAL: Final = "our token cannot be renewed: give the server a periodic one"
_RIGHTS: Final = "our token may not do that: give it the policy that bootstrap writes"
_NO_NODE: Final = "none of its nodes is active now: try again"
_SILENT: Final = "it does not answer: is it running and reachable?"
_PAIR: Final = "it requires a client's certificate: set VAULT_CLIENT_CERT and VAULT_CLIENT_KEY"
_UNSIGNED: Final = "its certificate does not hold: name the file of who signed it"
_ENDED: Final = (
    "it ended the connection: if it requires a client's certificate, set VAULT_CLIENT_CERT and "
    "VAULT_CLIENT_KEY"
)
"""A refused client may learn no more: under TLS 1.3 the alert can be lost behind its request."""
_SLOW: Final = "it took too long: try again, and look at its load if this stays"
_BROKEN: Final = "it has a fault of its own: try again, and look at its log if this stays"

FAULTS: Final = (
    Fault(VaultDown, "it is sealed: run `vault operator unseal`", "sealed"),
    Fault(VaultDown, _NO_NODE),
    Fault(VaultNotInitialized, "it is new: run `vault operator init`, then unseal it"),
    Fault(Forbidden, _REFUSED, "invalid token"),
    Fault(Forbidden, _RIGHTS),
    Fault(Unauthorized, _REFUSED),
    Fault(InvalidPath, "there is no such mount: let bootstrap make it", "no handler for route"),
    Fault(InvalidPath, "there is nothing at that path: is it Vault that answers?"),
    Fault(InvalidRequest, "the mount is being made: try again", UPGRADING),
    Fault(InvalidRequest, _MORTAL, "not renewable"),
    Fault(InvalidRequest, "it speaks TLS: use https://", "HTTP request to an HTTPS server"),
    Fault(InvalidRequest, "it finds the request wrong: does it run version 1.12 or newer?"),
    Fault(RateLimitExceeded, "it is too busy now: try again"),
    Fault(InternalServerError, _NO_NODE, "not active"),
    Fault(InternalServerError, _MORTAL, "past the max TTL"),
    Fault(InternalServerError, _BROKEN),
    Fault(BadGateway, _BROKEN),
    Fault(UnexpectedError, "its answer is unknown: see its log"),
    Fault(VaultError, "its answer is unknown: see its log"),
    Fault(http.SSLError, _PAIR, "CERTIFICATE_REQUIRED"),
    Fault(http.SSLError, _UNSIGNED, "CERTIFICATE_VERIFY_FAILED"),
    Fault(http.SSLError, _ENDED),
    Fault(http.ReadTimeout, _SLOW),
    Fault(http.ConnectionError, _SLOW, "timed out"),
    Fault(http.ConnectionError, _ENDED, "Connection reset"),
    Fault(http.ConnectionError, _ENDED, "Broken pipe"),
    Fault(http.ConnectionError, _SILENT),
    Fault(http.RequestException, "it cannot be asked: check its address and certificate file"),
    Fault(OSError, "it cannot be asked: check its address and certificate file"),
)
"""In order: the first that matches decides."""


def refusal(error: Exception, where: str) -> PiCloudError:
    """Return the error for an exception of hvac's, in one sentence that says what to do.

    >>> print(refusal(VaultDown("Vault is sealed"), "Vault at http://v:8200"))
    Vault at http://v:8200: it is sealed: run `vault operator unseal` (VaultDown)
    """
    return error_for(error, where, FAULTS)


def is_away(error: Exception) -> bool:
    """Return whether an error says nothing of the request: Vault did not answer, or cannot now.

    Args:
        error: One that `refusal` made, raised from its exception of hvac's.

    >>> is_away(refusal(Forbidden("invalid token"), "Vault"))
    False
    """
    away = VaultDown, InternalServerError, BadGateway, RateLimitExceeded, http.RequestException
    return isinstance(error.__cause__, away)
