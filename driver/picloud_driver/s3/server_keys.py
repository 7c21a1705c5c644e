"""Keys of the API on a server that has users of its own, as versitygw does."""

from __future__ import annotations

import contextlib
import json
import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import URLLib3Session
from picloud_model.errors import Unavailable

from picloud_driver.s3 import faults
from picloud_driver.s3.api_keys import ApiKey, rules
from picloud_driver.s3.client import ANSWER_S, CONNECT_S, s3_client

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from picloud_driver.s3.client import S3Access

_NO_POLICY: Final = "NoSuchBucketPolicy"
_NOT_HERE: Final = (
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.NOT_IMPLEMENTED,
)
"""Answers of servers without users, or to a key that may not manage them."""


class ServerKeys:
    """See `ApiKeys`. A key is a user, whom the policy of the bucket allows the API's work.

    Args:
        access: The bucket, and the key of an administrator.
        cluster: The id of the cluster, which is in the names of its keys.
    """

    def __init__(self, access: S3Access, cluster: str) -> None:
        self._access = access
        self._prefix = f"PC{cluster}"
        self._where = f"S3 at {access.endpoint}, bucket {access.bucket}"
        self._client = s3_client(access, access.endpoint, 1)
        self._session = URLLib3Session(
            verify=access.ca_file or True, proxies={}, timeout=(CONNECT_S, ANSWER_S)
        )

    def list(self) -> list[str] | None:
        """See `ApiKeys.list`."""
        status, body = self._manage("list-users")
        if status in _NOT_HERE:
            return None
        self._require(status, "list-users")
        try:
            users = ET.fromstring(body)  # noqa: S314 - of a server that we administer
        except ET.ParseError:
            return None
        names = [each.findtext("{*}Access", "") for each in users.iter() if _is_user(each.tag)]
        return sorted(name for name in names if name.startswith(self._prefix))

    def create(self) -> ApiKey:
        """See `ApiKeys.create`."""
        key = ApiKey(f"{self._prefix}{secrets.token_hex(4)}", secrets.token_hex(20))
        fields = {"Access": key.access_key, "Secret": key.secret_key, "Role": "user"}
        values = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
        status, _ = self._manage("create-user", body=f"<Account>{values}</Account>")
        self._require(status, "create-user")
        return key

    def is_allowed(self) -> bool:
        """See `ApiKeys.is_allowed`."""
        with self._explained():
            try:
                text = self._client.get_bucket_policy(Bucket=self._access.bucket)["Policy"]
            except ClientError as error:
                if faults.code_of(error) == _NO_POLICY:
                    return False
                raise
        return bool(json.loads(text) == rules(self._access.bucket, self.list() or ()))

    def allow(self) -> None:
        """See `ApiKeys.allow`; replaces the policy of the bucket."""
        text = json.dumps(rules(self._access.bucket, self.list() or ()))
        with self._explained():
            self._client.put_bucket_policy(Bucket=self._access.bucket, Policy=text)

    def remove(self, access_key: str) -> None:
        """See `ApiKeys.remove`."""
        status, _ = self._manage("delete-user", {"access": access_key})
        self._require(status, "delete-user")

    def close(self) -> None:
        """See `ApiKeys.close`."""
        self._client.close()
        self._session.close()

    def _manage(
        self, operation: str, query: Mapping[str, str] | None = None, body: str = ""
    ) -> tuple[int, bytes]:
        """Return status and body of the answer to a request of the interface for users."""
        own = Credentials(self._access.access_key, self._access.secret_key)
        url = f"{self._access.endpoint.rstrip('/')}/{operation}"
        with self._explained():
            request = AWSRequest("PATCH", url, data=body.encode(), params=dict(query or {}))
            S3SigV4Auth(own, "s3", self._access.region).add_auth(request)
            answer = self._session.send(request.prepare())
            return answer.status_code, answer.content

    def _require(self, status: int, operation: str) -> None:
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise Unavailable(f"{self._where}: it refuses {operation} (status {status}).")

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise faults.refusal(error, self._where) from error


def _is_user(tag: str) -> bool:
    return tag.rpartition("}")[2] == "Accounts"
