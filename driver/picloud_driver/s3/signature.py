"""Signatures of requests to S3: those that botocore makes, in a twentieth of its time."""

from __future__ import annotations

import hmac
import threading
import time
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from botocore.exceptions import NoCredentialsError

from picloud_driver.s3.client import credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.credentials import Credentials, ReadOnlyCredentials

    from picloud_driver.s3.client import S3Access

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_SCOPE: Final = "s3/aws4_request"
_UNSIGNED: Final = "UNSIGNED-PAYLOAD"
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
        self._host = parts.netloc
        self._path = f"{quote(parts.path.rstrip('/'), _SAFE)}/{quote(access.bucket)}/"
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._lock = threading.Lock()
        self._key: tuple[tuple[str, str], bytes] = ("", ""), b""
        """A date and a secret, and the key that is made of them: the same all day."""

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
        now, frozen = _now(), self._frozen()
        signed = {"host": self._host, **(headers or {})}
        values = {
            **(query or {}),
            "X-Amz-Algorithm": _ALGORITHM,
            "X-Amz-Credential": f"{frozen.access_key}/{self._scope(now)}",
            "X-Amz-Date": now,
            "X-Amz-Expires": str(valid_s),
            "X-Amz-SignedHeaders": ";".join(sorted(signed)),
        }
        if frozen.token:
            values["X-Amz-Security-Token"] = frozen.token
        parts = verb, self._path + quote(path, _SAFE), _parameters(values)
        signature = self._signature(parts, signed, now, frozen.secret_key)
        return f"{self._origin}{parts[1]}?{parts[2]}&X-Amz-Signature={signature}"

    def request(
        self, verb: str, path: str, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> tuple[str, dict[str, str]]:
        """Return the URL and the headers of a request that is sent at once; see `url`.

        Raises:
            NoCredentialsError: When there are none.
        """
        now, frozen = _now(), self._frozen()
        sent = {**headers, "x-amz-date": now, "x-amz-content-sha256": _UNSIGNED}
        if frozen.token:
            sent["x-amz-security-token"] = frozen.token
        signed = {"host": self._host, **sent}
        parts = verb, self._path + quote(path, _SAFE), _parameters(query)
        signature = self._signature(parts, signed, now, frozen.secret_key)
        sent["authorization"] = (
            f"{_ALGORITHM} Credential={frozen.access_key}/{self._scope(now)},"
            f" SignedHeaders={';'.join(sorted(signed))}, Signature={signature}"
        )
        return f"{self._origin}{parts[1]}{'?' if parts[2] else ''}{parts[2]}", sent

    def _scope(self, now: str) -> str:
        return f"{now[:8]}/{self._access.region}/{_SCOPE}"

    def _signature(
        self, parts: tuple[str, str, str], signed: Mapping[str, str], now: str, secret_key: str
    ) -> str:
        lines = [f"{name}:{' '.join(signed[name].split())}" for name in sorted(signed)]
        request = "\n".join([*parts, *lines, "", ";".join(sorted(signed)), _UNSIGNED])
        digest = sha256(request.encode()).hexdigest()
        text = "\n".join([_ALGORITHM, now, self._scope(now), digest])
        return hmac.digest(self._signing_key(now[:8], secret_key), text.encode(), "sha256").hex()

    def _frozen(self) -> ReadOnlyCredentials:
        if self._credentials is None:
            raise NoCredentialsError
        return self._credentials.get_frozen_credentials()

    @cached_property
    def _credentials(self) -> Credentials | None:
        with self._lock:  # those of a machine's role come from another server
            return credentials(self._access)

    def _signing_key(self, date: str, secret_key: str) -> bytes:
        source, key = self._key
        if source != (date, secret_key):
            key = f"AWS4{secret_key}".encode()
            for part in (date, self._access.region, *_SCOPE.split("/")):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = (date, secret_key), key
        return key


def _now() -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())


def _parameters(query: Mapping[str, str]) -> str:
    pairs = sorted((quote(name, "~"), quote(value, "~")) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in pairs)
