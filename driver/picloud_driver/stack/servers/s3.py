"""S3 for one machine: versitygw over a directory."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from picloud_driver import disk
from picloud_driver.s3.api_keys import ApiKey
from picloud_driver.s3.client import S3Access
from picloud_driver.s3.gateway import S3Gateway
from picloud_driver.s3.server_keys import ServerKeys
from picloud_driver.stack import records
from picloud_driver.stack.addresses import DEFAULT_REGION, Bucket, s3_of
from picloud_driver.stack.servers.ports import HOST
from picloud_driver.stack.servers.program import Program
from picloud_driver.stack.servers.stack_server import Launch, StackServer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from picloud_driver.stack.servers.startup import StartupDeadline

_BUCKET: Final = "picloud"
_CLUSTER: Final = "0" * 16
"""The cluster in the name of the API's key: no other one has keys in this server."""


class S3RootKeys(msgspec.Struct, frozen=True):
    """The keys of the root account."""

    access_key: str
    secret_key: str


class S3(StackServer[Bucket]):
    """A versitygw with one bucket.

    `container_address` is the address of this machine in the network of the slots' containers, ""
    without containers. The server listens there, too, and presigned URLs name it.
    """

    name: ClassVar[str] = "s3"
    port_names: ClassVar[tuple[str, ...]] = ("http",)
    program: ClassVar[Program] = Program(
        name="versitygw",
        oldest=(1, 0, 0),
        get="https://github.com/versity/versitygw/releases",
        ask="--version",
    )

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        self.container_address = ""

    def launch(self, ports: Mapping[str, int]) -> Launch:
        """See `StackServer.launch`."""
        data, sidecar, users = (self.directory / name for name in ("data", "metadata", "users"))
        for path in (data, sidecar, users):
            disk.private_directory(path)
        addresses = [HOST, self.container_address] if self.container_address else [HOST]
        options = [
            *(part for one in addresses for part in ("--port", f"{one}:{ports['http']}")),
            *("--region", DEFAULT_REGION),
            *("--health", "/health"),
            *("--iam-dir", str(users)),
            "--keep-alive",
            "--quiet",
            "posix",
        ]
        if not _has_attributes(data):
            options += ["--sidecar", str(sidecar)]
        keys = self._root_keys()
        # Not arguments, which every user of the machine can see.
        environment = {
            "ROOT_ACCESS_KEY_ID": keys.access_key,
            "ROOT_SECRET_ACCESS_KEY": keys.secret_key,
        }
        return Launch([*options, str(data)], environment)

    def address(self, ports: Mapping[str, int]) -> Bucket:
        """See `StackServer.address`."""
        keys = self._root_keys()
        endpoint = f"http://{self.container_address or HOST}:{ports['http']}"
        return Bucket(
            endpoint=endpoint,
            name=_BUCKET,
            region=DEFAULT_REGION,
            access_key=keys.access_key,
            secret_key=keys.secret_key,
        )

    def make_ready(self, bucket: Bucket, deadline: StartupDeadline) -> Bucket:
        """See `StackServer.make_ready`; makes the bucket, and a key that is for it alone."""
        deadline.until_listening(int(bucket.endpoint.rpartition(":")[2]))
        gateway = S3Gateway(access(bucket), connections=1)
        try:
            deadline.until(gateway.ensure_bucket)
        finally:
            gateway.close()
        return deadline.until(lambda: self._with_own_key(bucket))

    @staticmethod
    def check(bucket: Bucket) -> None:
        """See `StackServer.check`."""
        gateway = S3Gateway(access(bucket), connections=1)
        try:
            gateway.look()
        finally:
            gateway.close()

    def configured(self, environment: Mapping[str, str]) -> Bucket | None:
        """See `StackServer.configured`."""
        return s3_of(environment)

    def _with_own_key(self, root: Bucket) -> Bucket:
        """Return the bucket with the stored key of the API, or with a new one."""
        file = self._keys.with_name("s3.key.json")
        with contextlib.closing(ServerKeys(access(root), _CLUSTER)) as keys:
            known = keys.list()
            if known is None:
                return root  # an earlier version has started it, without users
            own = records.read(file, ApiKey, "remove it to get a new one")
            if own is None or own.access_key not in known:
                own = keys.create()
                records.write(file, own)
            if not keys.is_allowed():
                keys.allow()
        return msgspec.structs.replace(root, access_key=own.access_key, secret_key=own.secret_key)

    def _root_keys(self) -> S3RootKeys:
        keys = records.read(self._keys, S3RootKeys, "remove it to get new keys")
        if keys is None:
            keys = S3RootKeys(secrets.token_hex(10), secrets.token_hex(20))
            records.write(self._keys, keys)
        return keys


def access(bucket: Bucket) -> S3Access:
    """Return the bucket in the form that the gateway takes."""
    return S3Access(
        bucket=bucket.name,
        endpoint=bucket.endpoint,
        region=bucket.region,
        access_key=bucket.access_key,
        secret_key=bucket.secret_key,
    )


def _has_attributes(path: Path) -> bool:
    """Whether the file system can store metadata with files."""
    if not hasattr(os, "setxattr"):
        return False
    try:
        os.setxattr(path, "user.picloud", b"")
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        return False
    os.removexattr(path, "user.picloud")
    return True
