"""Keys of the API, which allow it its work in one bucket and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from picloud_driver.policies import policy

if TYPE_CHECKING:
    from collections.abc import Sequence


class ApiKey(msgspec.Struct, frozen=True):
    """An access key and its secret key, which is in no `repr`."""

    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        return f"ApiKey({self.access_key!r})"


class ApiKeys(Protocol):
    """The keys of the API of one cluster, as an administrator has them. It blocks.

    Every method raises `Unavailable` when the server does not answer, or refuses.
    """

    def list(self) -> list[str] | None:
        """Return the access keys that exist; None if we may not make any here."""

    def create(self) -> ApiKey:
        """Make another key; it may do nothing until `allow`."""

    def is_allowed(self) -> bool:
        """Whether all keys that exist may do the API's work, and nothing else."""

    def allow(self) -> None:
        """Let all keys that exist do the API's work, and nothing else."""

    def remove(self, access_key: str) -> None:
        """End a key."""

    def close(self) -> None:
        """Close the connections."""


def rules(bucket: str, principals: Sequence[str] = ()) -> dict[str, Any]:
    """Return what the API may do in a bucket, as a policy.

    Args:
        bucket: Its name.
        principals: Whom a policy of the bucket allows that; () for a policy of a user.

    >>> rules("data")["Statement"][1]["Resource"]
    'arn:aws:s3:::data/*'
    >>> rules("data", ["key"])["Statement"][0]["Principal"]
    {'AWS': ['key']}
    """
    found: dict[str, Any] = json.loads(policy("s3.json").replace(":BUCKET", f":{bucket}"))
    if principals:
        for statement in found["Statement"]:
            statement["Principal"] = {"AWS": list(principals)}
    return found
