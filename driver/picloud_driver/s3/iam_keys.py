"""Keys of the API at AWS: those of a user of IAM."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from picloud_model.errors import Unavailable

from picloud_driver.s3 import faults
from picloud_driver.s3.api_keys import ApiKey, rules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_driver.s3.client import S3Access

_POLICY: Final = "picloud-api"
_NONE: Final = "NoSuchEntity"
_EXISTS: Final = "EntityAlreadyExists"
_ADVICE: Final = "; end the old one first, by picloud admin rotate --revoke"
"""A user has at most two keys."""
_REFUSED: Final = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")


class IamKeys:
    """See `ApiKeys`. The user has a policy of its own, and at most two keys.

    Args:
        access: The bucket, and the key of an administrator.
        cluster: The id of the cluster, which is in the name of its user.
        endpoint: Where to reach IAM; "" for its usual address.
    """

    def __init__(self, access: S3Access, cluster: str, endpoint: str = "") -> None:
        self._bucket = access.bucket
        self._user = f"picloud-api-{cluster}"
        with _explained():
            self._client = boto3.client(
                "iam",
                region_name=access.region,
                endpoint_url=endpoint or None,
                aws_access_key_id=access.access_key,
                aws_secret_access_key=access.secret_key,
            )

    def list(self) -> list[str] | None:
        """See `ApiKeys.list`."""
        with _explained():
            try:
                found = self._client.list_access_keys(UserName=self._user)["AccessKeyMetadata"]
            except ClientError as error:
                if faults.code_of(error) in _REFUSED:
                    return None
                if faults.code_of(error) == _NONE:
                    return []
                raise
        return sorted(each["AccessKeyId"] for each in found)

    def create(self) -> ApiKey:
        """See `ApiKeys.create`."""
        with _explained():
            try:
                self._client.create_user(UserName=self._user)
            except ClientError as error:
                if faults.code_of(error) != _EXISTS:
                    raise
            made = self._client.create_access_key(UserName=self._user)["AccessKey"]
        return ApiKey(made["AccessKeyId"], made["SecretAccessKey"])

    def is_allowed(self) -> bool:
        """See `ApiKeys.is_allowed`."""
        with _explained():
            try:
                found = self._client.get_user_policy(UserName=self._user, PolicyName=_POLICY)
            except ClientError as error:
                if faults.code_of(error) == _NONE:
                    return False
                raise
        return bool(found["PolicyDocument"] == rules(self._bucket))

    def allow(self) -> None:
        """See `ApiKeys.allow`."""
        text = json.dumps(rules(self._bucket))
        with _explained():
            self._client.put_user_policy(
                UserName=self._user, PolicyName=_POLICY, PolicyDocument=text
            )

    def remove(self, access_key: str) -> None:
        """See `ApiKeys.remove`."""
        with _explained():
            self._client.delete_access_key(UserName=self._user, AccessKeyId=access_key)

    def close(self) -> None:
        """See `ApiKeys.close`."""
        self._client.close()


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turn errors of IAM into one sentence each.

    Raises:
        Unavailable: Names what IAM refuses.
    """
    try:
        yield
    except ClientError as error:
        code = faults.code_of(error)
        advice = _ADVICE if code == "LimitExceeded" else ""
        raise Unavailable(f"AWS refuses {error.operation_name}: {code}{advice}.") from error
    except BotoCoreError as error:
        raise Unavailable(f"AWS cannot be used now: {error}.") from error
