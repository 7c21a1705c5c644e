"""The faults of NATS, and what to do about each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nats import errors as client

from picloud_driver.fault_table import Fault, error_for
from picloud_driver.nats.api_refusal import VIOLATION

if TYPE_CHECKING:
    from picloud_model.errors import PiCloudError

_SILENT: Final = "it does not answer: is it running and reachable?"
_SLOW: Final = "it took too long: try again, and look at its load if this stays"
_TOO_FEW: Final = (
    "it has fewer servers than NATS_REPLICAS wants for each queue: add servers, or lower it"
)
_REFUSED: Final = "it refuses our credentials: check NATS_USER, NATS_TOKEN or NATS_CREDS"

FAULTS: Final = (
    Fault("10077", "its stream is full or JetStream is down: see its log"),
    Fault("10023", "it has too little disk or memory: free some"),
    Fault("10047", "it has too little disk: free some"),
    Fault("10028", "it has too little memory: free some"),
    Fault("10039", "JetStream is not enabled for our account: enable it"),
    Fault("10005", _TOO_FEW),
    Fault("10074", _TOO_FEW),
    Fault("10076", "JetStream is not enabled: start it with a store directory"),
    Fault(client.AuthorizationError, _REFUSED),
    Fault(client.Error, _REFUSED, VIOLATION),
    Fault(client.NoServersError, _SILENT),
    Fault(client.NoRespondersError, "JetStream does not answer: enable it, or see its log"),
    Fault(client.ConnectionClosedError, _SILENT),
    Fault(client.TimeoutError, _SLOW),
    Fault(client.Error, "its answer is unknown: see its log"),
    Fault(TimeoutError, _SILENT),
    Fault(OSError, _SILENT),
    Fault(Exception, "its answer is unknown: see its log"),
)
"""In order: the first that matches decides."""


def refusal(error: Exception, where: str, code: str = "") -> PiCloudError:
    """Return the error for an exception of nats-py, in one sentence that says what to do.

    >>> print(refusal(client.NoServersError(), "NATS at nats://n:4222"))
    NATS at nats://n:4222: it does not answer: is it running and reachable? (NoServersError)
    """
    return error_for(error, where, FAULTS, code)
