"""Uploads of small objects, of which a program may have thousands."""

from __future__ import annotations

import hashlib
from collections import deque
from typing import TYPE_CHECKING

from picloud_model.wire import bucket as wire

if TYPE_CHECKING:
    from cloud._http.transport import Transport


class SmallUploader:
    """Sends one object in the request, and several at the same time straight to the store.

    One request has the lower latency. But the server would be the bottleneck of many threads: to
    sign a URL takes it half the time that it takes to pass an object on. On the embedded stack the
    server is the store, so there one request is better in any case.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        # Its length counts them. A number would need a lock, which a fork could copy while held.
        self._under_way: deque[str] = deque()
        self._store_is_apart = True

    def put(self, key: str, data: bytes, headers: dict[str, str]) -> wire.ObjectDescription | None:
        """Store an object; return its description if the server has sent it.

        Raises:
            CloudException: When the server refuses it.
        """
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        straight = bool(self._under_way) and self._store_is_apart
        self._under_way.append(key)
        try:
            body = wire.PutObjectRequest(
                key=key,
                size=len(data),
                md5=md5,
                headers=headers,
                data=None if straight else data,
            )
            answer = self._transport.post("/v1/bucket/put", body, wire.ObjectPut)
            if answer.target is not None:
                self._store_is_apart = not answer.target.url.startswith("/")
                self._transport.put(answer.target.url, data, answer.target.headers)
        finally:
            self._under_way.pop()
        return answer.stored
