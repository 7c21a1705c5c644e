"""Signatures of requests to S3, by botocore's signers alone.

botocore's client takes several times as long as its signer, to validate and build each request.
"""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest

from picloud_driver.s3.client import credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.awsrequest import AWSPreparedRequest
    from botocore.credentials import Credentials

    from picloud_driver.s3.client import S3Access

_SERVICE: Final = "s3"
_SAFE: Final = "/~"


class S3Signer:
    """Signs requests for one bucket; any number of threads may use it.

    Args:
        access: The bucket and the credentials.
        endpoint: URL of the server, as those who use the URLs reach it.
    """

    def __init__(self, access: S3Access, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self._access = access
        folder = f"{quote(parts.path.rstrip('/'), _SAFE)}/{quote(access.bucket)}"
        self._bucket = f"{parts.scheme}://{parts.netloc}{folder}/"
        self._lock = threading.Lock()

    def url(
        self,
        verb: str,
        path: str,
        valid_s: int,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> str:
        """Return a URL for one request.

        Args:
            verb: Its method.
            path: The key of the object, "" for the bucket.
            valid_s: How long it is valid, in seconds.
            headers: Those that have to be sent with these values, by their names in lower case.
            query: The parameters of the request.

        Raises:
            NoCredentialsError: When there are none.
        """
        request = AWSRequest(
            verb, self._bucket + quote(path, _SAFE), headers=headers, params=query or {}
        )
        region = self._access.region
        S3SigV4QueryAuth(self._credentials, _SERVICE, region, expires=valid_s).add_auth(request)
        return str(request.url)

    def request(
        self,
        verb: str,
        path: str,
        *,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        body: bytes,
    ) -> AWSPreparedRequest:
        """Return a signed request that is sent at once; see `url`.

        Raises:
            NoCredentialsError: When there are none.
        """
        url = self._bucket + quote(path, _SAFE)
        request = AWSRequest(verb, url, headers=headers, data=body, params=query)
        S3SigV4Auth(self._credentials, _SERVICE, self._access.region).add_auth(request)
        return request.prepare()

    @cached_property
    def _credentials(self) -> Credentials | None:
        with self._lock:  # those of a machine's role come from another server
            return credentials(self._access)
