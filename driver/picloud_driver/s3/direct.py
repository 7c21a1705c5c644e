"""Requests to S3 without botocore, which takes several times as long for a small one as S3 does.

Only what needs no explanation is done here: if there is no response or an unexpected one, the
caller sends the request by botocore, which repeats it and knows what its error means.
"""

from __future__ import annotations

import contextlib
import socket
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session
from urllib3.exceptions import HTTPError

from picloud_driver.s3.client import ANSWER_S, CONNECT_S, time_of
from picloud_driver.s3.signature import S3Signer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.awsrequest import AWSPreparedRequest, AWSResponse

    from picloud_driver.s3.client import S3Access

_META: Final = "x-amz-meta-"
_FIELDS: Final = {
    "cache-control": "CacheControl",
    "content-disposition": "ContentDisposition",
    "content-encoding": "ContentEncoding",
    "content-language": "ContentLanguage",
    "content-range": "ContentRange",
    "content-type": "ContentType",
    "etag": "ETag",
}
_NO_KEY: Final = b"<Code>NoSuchKey</Code>"


class DirectReply(NamedTuple):
    """The response to a request: its status, its headers by names in lower case, and its body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether S3 has done what was requested."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def is_taken(self) -> bool:
        """Whether the object exists that was to be written if it does not."""
        return self.status == HTTPStatus.PRECONDITION_FAILED

    @property
    def has_no_key(self) -> bool:
        """Whether S3 says that there is no such object, in a bucket that exists."""
        return self.status == HTTPStatus.NOT_FOUND and _NO_KEY in self.body

    def answer(self) -> dict[str, Any]:
        """Return the answer to a GET or HEAD as botocore does.

        >>> DirectReply(200, {"content-length": "5", "last-modified": "2026-01-01"}, b"").answer()
        {'Metadata': {}, 'ContentLength': 5, 'LastModified': datetime.datetime(2026, 1, 1, 0, 0)}
        """
        named = {_FIELDS[name]: self.headers[name] for name in _FIELDS if name in self.headers}
        metadata = {
            name[len(_META) :]: value
            for name, value in self.headers.items()
            if name.startswith(_META)
        }
        if tags := self.headers.get("x-amz-tagging-count"):
            named["TagCount"] = tags
        return {
            **named,
            "Metadata": metadata,
            "ContentLength": int(self.headers["content-length"]),
            "LastModified": time_of(self.headers["last-modified"]),
        }


class S3Direct:
    """Sends small requests to one bucket; any number of threads may use it.

    Args:
        access: The bucket and the credentials.
        client: What else sends requests to it: from now on over the same connections.
        connections: How many to keep open.
    """

    def __init__(self, access: S3Access, client: Any, connections: int) -> None:
        self._signer = S3Signer(access, client.meta.endpoint_url)
        self._session = URLLib3Session(
            verify=access.ca_file or True,
            proxies={},
            timeout=(CONNECT_S, ANSWER_S),
            max_pool_connections=connections,
            # Head and body are two packets: the second would wait for S3 to acknowledge the first.
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )
        client.meta.events.register("before-send.s3", self._send)

    def send(
        self,
        verb: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> DirectReply | None:
        """Return the response to a request, with its whole body; None if it does not arrive."""
        wanted = {**(headers or {}), "content-length": str(len(body))} if body else headers or {}
        with contextlib.suppress(BotoCoreError, HTTPError):
            request = self._signer.request(verb, path, headers=wanted, query=query or {}, body=body)
            reply = self._session.send(request)
            named = {name.lower(): value for name, value in reply.headers.items()}
            content = reply.content
            if verb == "HEAD" or named.get("content-length", str(len(content))) == str(
                len(content)
            ):
                return DirectReply(reply.status_code, named, content)
        return None

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _send(self, request: AWSPreparedRequest, **_event: Any) -> AWSResponse:
        return self._session.send(request)
