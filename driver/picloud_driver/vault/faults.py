"""What can be wrong with Vault, and what to do about it: one table."""

from __future__ import annotations

from typing import Final

import msgspec
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
from picloud_model.errors import Unavailable
from requests import exceptions as http

OLD_VERSION: Final = "check-and-set parameter did not match"
IN_USE: Final = "path is already in use"
UPGRADING: Final = "Upgrading from non-versioned"
"""For a moment after the mount was made."""


class Fault(msgspec.Struct, frozen=True):
    """Something that hvac or requests raises, what its message has in it, and what to do."""

    kind: type[Exception]
    said: str
    advice: str


_REFUSED: Final = "our token is wrong, expired or revoked: give the server a new one"
_MORTAL: Final = "our token cannot be renewed: give the server a periodic one"
_RIGHTS: Final = "our token may not do that: give it the policy that bootstrap writes"
_NO_NODE: Final = "none of its nodes is active now: try again"
_SILENT: Final = "it does not answer: is it running and reachable?"
_SLOW: Final = "it took too long: try again, and look at its load if this stays"
_BROKEN: Final = "it has a fault of its own: try again, and look at its log if this stays"

FAULTS: Final = (
    Fault(VaultDown, "sealed", "it is sealed: run `vault operator unseal`"),
    Fault(VaultDown, "", _NO_NODE),
    Fault(VaultNotInitialized, "", "it is new: run `vault operator init`, then unseal it"),
    Fault(Forbidden, "invalid token", _REFUSED),
    Fault(Forbidden, "", _RIGHTS),
    Fault(Unauthorized, "", _REFUSED),
    Fault(InvalidPath, "no handler for route", "there is no such mount: let bootstrap make it"),
    Fault(InvalidPath, "", "there is nothing at that path: is it Vault that answers?"),
    Fault(InvalidRequest, UPGRADING, "the mount is being made: try again"),
    Fault(InvalidRequest, "not renewable", _MORTAL),
    Fault(InvalidRequest, "HTTP request to an HTTPS server", "it speaks TLS: use https://"),
    Fault(InvalidRequest, "", "it finds the request wrong: does it run version 1.12 or newer?"),
    Fault(RateLimitExceeded, "", "it is too busy now: try again"),
    Fault(InternalServerError, "not active", _NO_NODE),
    Fault(InternalServerError, "past the max TTL", _MORTAL),
    Fault(InternalServerError, "", _BROKEN),
    Fault(BadGateway, "", _BROKEN),
    Fault(UnexpectedError, "", "it answers what we do not know: see its log"),
    Fault(VaultError, "", "it answers what we do not know: see its log"),
    Fault(http.SSLError, "", "its certificate does not hold: name the file of who signed it"),
    Fault(http.ReadTimeout, "", _SLOW),
    Fault(http.ConnectionError, "timed out", _SLOW),
    Fault(http.ConnectionError, "", _SILENT),
    Fault(http.RequestException, "", "it cannot be asked: check its address and certificate file"),
    Fault(OSError, "", "it cannot be asked: check its address and certificate file"),
)
"""In this order: the first that fits tells."""


def refusal(error: Exception, where: str) -> Unavailable:
    """The error of ours that stands for one of hvac's, in one sentence that says what to do.

    >>> print(refusal(VaultDown("Vault is sealed"), "Vault at http://v:8200"))
    Vault at http://v:8200: it is sealed: run `vault operator unseal` (VaultDown)
    """
    said = str(error)
    fits = (fault for fault in FAULTS if isinstance(error, fault.kind) and fault.said in said)
    return Unavailable(f"{where}: {next(fits).advice} ({type(error).__name__})")
