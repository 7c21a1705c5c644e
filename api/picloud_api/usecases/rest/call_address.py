"""Addresses of calls: where the result of a call of a published function is polled."""

from __future__ import annotations

import hmac
import re
from hashlib import blake2b
from typing import Final

from picloud_model.errors import JobNotFound

_MAC_BYTES: Final = 16
_CALL: Final = re.compile(rf"(\d{{1,16}})-([0-9a-f]{{{2 * _MAC_BYTES}}})")


class CallAddresses:
    """Makes the addresses of calls, and reads them.

    An address is signed, as others than the account may call an endpoint: it opens the result of
    one job, which only its caller has learnt.

    Args:
        key: Signs the addresses.

    >>> addresses = CallAddresses(b"secret")
    >>> address = addresses.of("a", "square", 5)
    >>> addresses.read("a", "square", address.rpartition("/")[2])
    5
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, account: str, label: str, jid: int) -> str:
        """Return the path at which the result of a call is read."""
        return f"/r/{account}/{label}/jobs/{jid}-{self._mac(account, label, jid)}"

    def read(self, account: str, label: str, call: str) -> int:
        """Return the jid of a call, by the last part of its address.

        Raises:
            JobNotFound: When this server has not made the address.
        """
        matched = _CALL.fullmatch(call)
        if matched is not None:
            jid = int(matched[1])
            if hmac.compare_digest(matched[2], self._mac(account, label, jid)):
                return jid
        raise JobNotFound("There is no call at this address; use the Location of its response.")

    def _mac(self, account: str, label: str, jid: int) -> str:
        text = f"{account}/{label}/{jid}".encode("utf-8", "replace")
        return blake2b(
            text, key=self._key, person=b"endpoint call", digest_size=_MAC_BYTES
        ).hexdigest()
