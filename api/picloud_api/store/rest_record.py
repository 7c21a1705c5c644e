"""Records of endpoints: functions that are published as web services."""

from __future__ import annotations

from typing import ClassVar

from picloud_model.wire import SubmitRequest
from picloud_model.wire.rest import OutEncoding, Parameter

from picloud_api.store.records import NamedRecord, Record


class EndpointKey(Record, frozen=True):
    """A key that calls one endpoint; only a keyed hash of its secret is kept."""

    id: str
    digest: bytes
    created_at: float


class EndpointAccess(Record, frozen=True):
    """Who may call an endpoint besides its account, how often all of them may, and which pages.

    `warm` slots are kept running for its calls.
    """

    public: bool = False
    calls_per_minute: int = 0
    keys: tuple[EndpointKey, ...] = ()
    origins: tuple[str, ...] = ()
    warm: int = 0


class EndpointRecord(NamedRecord, frozen=True, kw_only=True):
    """An endpoint, under the key `endpoints/<account>/<label>`: what each call submits."""

    prefix: ClassVar[str] = "endpoints/"

    job: SubmitRequest
    parameters: list[Parameter]
    takes_any: bool
    out_encoding: OutEncoding = "json"
    content_type: str = ""
    published_at: float
    version: int = 1
    others: tuple[int, ...] = ()
    """The other versions that are kept, each as an `OldEndpointRecord`, in order."""
    access: EndpointAccess = EndpointAccess()
    """That of the endpoint: other versions have none of their own."""


class OldEndpointRecord(EndpointRecord, frozen=True, kw_only=True):
    """Another version, under the key `endpoint_versions/<account>/<label>/<version>`."""

    prefix: ClassVar[str] = "endpoint_versions/"


class CallRateRecord(NamedRecord, frozen=True):
    """How often an endpoint was called, under the key `call_rates/<account>/<label>`.

    At `free_at` it will have all calls of its rate limit again.
    """

    prefix: ClassVar[str] = "call_rates/"

    free_at: float


class WarmRecord(NamedRecord, frozen=True):
    """How many slots are kept running, under the key `warm_slots/<account>/<label>`."""

    prefix: ClassVar[str] = "warm_slots/"

    count: int


def warm_key(account: str, label: str) -> str:
    """Return the key of how many slots are kept running for an endpoint."""
    return f"{WarmRecord.prefix}{account}/{label}"


def rate_key(account: str, label: str) -> str:
    """Return the key of what was used of the rate limit of an endpoint."""
    return f"{CallRateRecord.prefix}{account}/{label}"


def endpoint_key(account: str, label: str = "") -> str:
    """Return the key of an endpoint; without a label, the prefix of all of an account."""
    return f"{EndpointRecord.prefix}{account}/{label}"


def version_key(account: str, label: str = "", version: int = 0) -> str:
    """Return the key of another version; without a label, the prefix of all of an account."""
    return f"{OldEndpointRecord.prefix}{account}/" + (f"{label}/{version}" if label else "")
