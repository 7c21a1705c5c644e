"""Addresses of calls: where the result of a call of a published function is polled."""

from __future__ import annotations

import hmac
import re
from hashlib import blake2b
from typing import Final, NamedTuple

from picloud_model.errors import JobNotFound

_MAC_BYTES: Final = 16
_CALL: Final = re.compile(rf"(\d{{1,16}})-(\d{{1,9}})-([0-9a-f]{{{2 * _MAC_BYTES}}})")


class Call(NamedTuple):
    """A call of a published function: its job, and the version that was called."""

    jid: int
    version: int


class CallAddresses:
    """Makes the addresses of calls, and reads them.

    An address is signed, as others than the account may call an endpoint: it opens the result of
    one job, which only its caller has learnt.

    Args:
        key: Signs the addresses.

    >>> addresses = CallAddresses(b"secret")
    >>> address = addresses.of("a", "square", Call(5, 1))
    >>> addresses.read("a", "square", address.rpartition("/")[2])
    Call(jid=5, version=1)
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, account: str, label: str, call: Call) -> str:
        """Return the path at which the result of a call is read."""
        mac = self._mac(account, label, call)
        return f"/r/{account}/{label}/jobs/{call.jid}-{call.version}-{mac}"

    def read(self, account: str, label: str, name: str) -> Call:
        """Return a call, by the last part of its address.

        Raises:
            JobNotFound: When this server has not made the address.
        """
        matched = _CALL.fullmatch(name)
        if matched is not None:
            call = Call(int(matched[1]), int(matched[2]))
            if hmac.compare_digest(matched[3], self._mac(account, label, call)):
                return call
        raise JobNotFound("There is no call at this address; use the Location of its response.")

    def _mac(self, account: str, label: str, call: Call) -> str:
        text = f"{account}/{label}/{call.jid}/{call.version}".encode("utf-8", "replace")
        return blake2b(
            text, key=self._key, person=b"endpoint call", digest_size=_MAC_BYTES
        ).hexdigest()
