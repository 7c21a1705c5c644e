"""Keys of the API in S3: what they allow, and that the old ones end."""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from picloud_driver.s3.client import S3Access, s3_client
from picloud_driver.s3.gateway import LARGE_BYTES, S3Gateway
from picloud_driver.s3.iam_keys import IamKeys
from picloud_driver.s3.server_keys import ServerKeys
from picloud_model.errors import Unavailable

from tests.contract.blob_adapters import s3_access
from tests.servers import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from picloud_driver.s3.api_keys import ApiKey, ApiKeys

CLUSTER = "0123456789abcdef"
FORBIDDEN: dict[str, Callable[[Any, str], object]] = {
    "read another bucket": lambda s3, _: s3.get_object(Bucket="others", Key="report"),
    "list another bucket": lambda s3, _: s3.list_objects_v2(Bucket="others"),
    "write to another bucket": lambda s3, _: s3.put_object(Bucket="others", Key="a", Body=b""),
    "make a bucket": lambda s3, _: s3.create_bucket(Bucket="mine"),
    "delete its bucket": lambda s3, own: s3.delete_bucket(Bucket=own),
    "read its policy": lambda s3, own: s3.get_bucket_policy(Bucket=own),
    "delete its policy": lambda s3, own: s3.delete_bucket_policy(Bucket=own),
    "allow others": lambda s3, own: s3.put_bucket_policy(Bucket=own, Policy='{"Statement": []}'),
    "open it to the public": lambda s3, own: s3.put_bucket_acl(Bucket=own, ACL="public-read"),
}
"""What administrators may do, and the API may not."""


@pytest.fixture(scope="module")
def s3_of_users() -> Iterator[running.S3]:
    """A server whose administrator can make users, with a bucket of others."""
    with running.versitygw(users=True) as server:
        with opened(s3_access(server, "others")) as gateway:
            gateway.ensure_bucket()
            gateway.write("report", b"of others")
        yield server


@pytest.fixture
def administrator(s3_of_users: running.S3) -> S3Access:
    """The key of an administrator, and a new bucket."""
    access = s3_access(s3_of_users, f"test-{uuid.uuid4().hex}")
    with opened(access) as gateway:
        gateway.ensure_bucket()
    return access


@contextlib.contextmanager
def opened(access: S3Access) -> Iterator[S3Gateway]:
    """Use a bucket."""
    with contextlib.closing(S3Gateway(access, connections=1)) as gateway:
        yield gateway


def of(key: ApiKey, access: S3Access) -> S3Access:
    """Return the access of the API."""
    return dataclasses.replace(access, access_key=key.access_key, secret_key=key.secret_key)


def made(access: S3Access) -> ApiKey:
    """Return a new key of the API, which may do its work."""
    with contextlib.closing(ServerKeys(access, CLUSTER)) as keys:
        key = keys.create()
        keys.allow()
    return key


def test_a_key_allows_the_work_of_the_api(administrator: S3Access) -> None:
    """Blobs, also large ones that are written in parts, and their URLs."""
    with opened(of(made(administrator), administrator)) as gateway:
        assert gateway.write("a/small", b"small")
        assert gateway.write("a/large", bytes(LARGE_BYTES + 1))
        assert gateway.read("a/small", 1, 3) == b"ma"
        assert gateway.page("a/").keys == ["a/large", "a/small"]
        gateway.remove("a/large")
        assert not gateway.exists("a/large")
        assert gateway.has_bucket()


@pytest.mark.parametrize("operation", FORBIDDEN)
def test_a_key_allows_nothing_else(administrator: S3Access, operation: str) -> None:
    """Neither in the buckets of others nor about its own."""
    access = of(made(administrator), administrator)
    client = s3_client(access, access.endpoint, 1)

    with pytest.raises(ClientError) as refused:
        FORBIDDEN[operation](client, access.bucket)

    assert refused.value.response["Error"]["Code"] == "AccessDenied"
    client.close()


def test_a_key_makes_no_keys(administrator: S3Access) -> None:
    """Only an administrator's does."""
    own = of(made(administrator), administrator)

    with contextlib.closing(ServerKeys(own, CLUSTER)) as keys:
        assert keys.list() is None
        with pytest.raises(Unavailable, match=r"bucket test-.*: it refuses create-user"):
            keys.create()


def test_a_server_without_users_makes_no_keys() -> None:
    """The API uses the key that it is given there."""
    with running.versitygw() as server:
        access = s3_access(server, "data")
        with contextlib.closing(ServerKeys(access, CLUSTER)) as keys:
            assert keys.list() is None


def test_a_key_that_was_removed_ends(administrator: S3Access) -> None:
    """Both are valid until then; those of another cluster on the same server stay."""
    with contextlib.closing(ServerKeys(administrator, "f" * 16)) as others:
        kept = others.create().access_key
    first, second = made(administrator), made(administrator)
    with contextlib.closing(ServerKeys(administrator, CLUSTER)) as keys:
        for key in (first, second):
            with opened(of(key, administrator)) as gateway:
                gateway.look()

        keys.remove(first.access_key)
        keys.allow()

        assert second.access_key in (keys.list() or ())
        assert first.access_key not in (keys.list() or ())
        assert keys.is_allowed()
    with opened(of(second, administrator)) as gateway:
        gateway.look()
    with opened(of(first, administrator)) as gateway, pytest.raises(Unavailable):
        gateway.look()
    with contextlib.closing(ServerKeys(administrator, "f" * 16)) as others:
        assert kept in (others.list() or ())


def test_a_policy_that_was_changed_is_noticed(administrator: S3Access) -> None:
    """As is one that is missing."""
    with contextlib.closing(ServerKeys(administrator, CLUSTER)) as keys:
        keys.create()
        assert not keys.is_allowed()
        keys.allow()
        assert keys.is_allowed()

        client = s3_client(administrator, administrator.endpoint, 1)
        client.delete_bucket_policy(Bucket=administrator.bucket)
        client.close()

        assert not keys.is_allowed()


def test_a_user_of_aws_has_a_policy_and_two_keys(moto_server: str) -> None:
    """One while it is replaced by the other; a third is refused."""
    access = S3Access("data", access_key="a", secret_key="b")
    keys: ApiKeys = IamKeys(access, uuid.uuid4().hex[:16], moto_server)
    assert keys.list() == []
    assert not keys.is_allowed()

    first = keys.create()
    keys.allow()
    second = keys.create()

    assert keys.is_allowed()
    assert keys.list() == sorted([first.access_key, second.access_key])
    assert second.secret_key not in repr(second)
    with pytest.raises(Unavailable, match="LimitExceeded; end the old one first, by picloud admin"):
        keys.create()
    keys.remove(first.access_key)
    assert keys.list() == [second.access_key]
    keys.close()


def test_an_aws_that_does_not_answer_is_reported() -> None:
    """The error of the network in a sentence."""
    access = S3Access("data", access_key="a", secret_key="b")
    keys = IamKeys(access, CLUSTER, "http://127.0.0.1:1")

    with pytest.raises(Unavailable, match=r"^AWS cannot be used now: Could not connect"):
        keys.list()
