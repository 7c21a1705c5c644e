"""Making a bucket with the adapter `s3`: once, where it belongs, and no other files."""

import asyncio
import subprocess
import uuid
from collections.abc import Iterator

import pytest
from picloud_driver.blob.s3 import S3Blobs
from picloud_driver.s3.client import S3Access
from picloud_model.errors import Unavailable

from tests.contract.blob_adapters import collected, s3_access
from tests.servers import running
from tests.servers.process import binary, free_ports, scratch, server
from tests.servers.run_versitygw import _options, _posix


async def test_the_bucket_is_made_once(s3_server: running.S3) -> None:
    """`ensure_bucket` makes the bucket; again, and by several at once, it changes nothing."""
    access = s3_access(s3_server, f"test-{uuid.uuid4().hex}")
    ports = [S3Blobs(access) for _ in range(4)]
    with pytest.raises(Unavailable, match="no such bucket"):
        await ports[0].ping()

    await asyncio.gather(*(port.ensure_bucket() for port in ports))
    await ports[0].put("a", b"kept")
    await ports[1].ensure_bucket()

    assert await ports[1].get("a") == b"kept"
    for port in ports:
        await port.close()


async def test_the_region_is_sent_when_the_bucket_is_made() -> None:
    """Where the region is another than S3's first one, the bucket is made there."""
    with running.versitygw(region="eu-central-1") as s3:
        blobs = S3Blobs(s3_access(s3, "picloud-elsewhere"))

        await blobs.ensure_bucket()

        assert await blobs.put("a", b"bytes") is True
        await blobs.close()


@pytest.fixture(scope="module")
def two_accounts() -> Iterator[tuple[S3Access, S3Access]]:
    """One bucket name, as two accounts of one server see it."""
    with scratch("versitygw") as directory:
        (port,) = free_ports(1)
        endpoint = f"http://127.0.0.1:{port}"
        (directory / "accounts").mkdir()
        accounts = ["--iam-dir", str(directory / "accounts")]
        program, administrator = binary("versitygw"), {"ACCESS": "admin", "SECRET": "admins-own"}
        with server(
            [program, *_options(port, "us-east-1"), *accounts, *_posix(directory)],
            directory=directory,
            url=f"{endpoint}/health",
            environment={f"ROOT_{name}_KEY": key for name, key in administrator.items()},
        ):
            for account in ("owner", "stranger"):
                _make_account(program, endpoint, account)
            owner, stranger = (
                S3Access("somebodys-bucket", endpoint, access_key=name, secret_key=f"{name}s-own")
                for name in ("owner", "stranger")
            )
            yield owner, stranger


def _make_account(program: str, endpoint: str, name: str) -> None:
    ours = ["--access", "admin", "--secret", "admins-own", "--endpoint-url", endpoint]
    theirs = ["--access", name, "--secret", f"{name}s-own", "--role", "userplus"]
    subprocess.run([program, "admin", *ours, "create-user", *theirs], check=True, timeout=30)


async def test_the_bucket_of_another_account_is_reported(
    two_accounts: tuple[S3Access, S3Access],
) -> None:
    """A bucket of another account is left alone, with one sentence that says so."""
    owner, stranger = (S3Blobs(access) for access in two_accounts)
    await owner.ensure_bucket()
    await owner.put("a", b"theirs")

    for call in (stranger.ensure_bucket, stranger.ping, lambda: stranger.get("a")):
        with pytest.raises(Unavailable, match="the bucket is another account's: choose another"):
            await call()
    with pytest.raises(Unavailable, match="another account's"):
        await stranger.put("b", b"ours")
    with pytest.raises(Unavailable, match="another account's"):
        await stranger.missing(["a", "b"])

    assert await collected(owner.names("")) == ["a"]
    for blobs in (owner, stranger):
        await blobs.close()
