"""S3 for one machine: versitygw over a directory."""

from __future__ import annotations

import errno
import os
import secrets
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from picloud_driver import disk
from picloud_driver.s3.client import S3Access
from picloud_driver.s3.gateway import S3Gateway
from picloud_driver.stack import records
from picloud_driver.stack.addresses import DEFAULT_REGION, Bucket, given_s3
from picloud_driver.stack.part import Launch, Part
from picloud_driver.stack.ports import HOST
from picloud_driver.stack.program import Program

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from picloud_driver.stack.wait import Wait

_BUCKET: Final = "picloud"


class Keys(msgspec.Struct, frozen=True):
    """Of the root account."""

    access_key: str
    secret_key: str


class S3(Part[Bucket]):
    """A versitygw with one bucket.

    `beside` is the address at which slots in containers see this machine, "" where there are none:
    it listens there too, and presigned URLs name it.
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
        self.beside = ""

    def launch(self, ports: Mapping[str, int]) -> Launch:
        """See `Part.launch`."""
        data, sidecar = self.directory / "data", self.directory / "metadata"
        for path in (data, sidecar):
            disk.private_directory(path)
        beside = ["--port", f"{self.beside}:{ports['http']}"] if self.beside else []
        options = [
            *("--port", f"{HOST}:{ports['http']}"),
            *beside,
            *("--region", DEFAULT_REGION),
            *("--health", "/health"),
            "--keep-alive",
            "--quiet",
            "posix",
        ]
        if not _has_attributes(data):
            options += ["--sidecar", str(sidecar)]
        keys = self._secrets()
        # Not as arguments, which every user of the machine can see.
        environment = {
            "ROOT_ACCESS_KEY_ID": keys.access_key,
            "ROOT_SECRET_ACCESS_KEY": keys.secret_key,
        }
        return Launch([*options, str(data)], environment)

    def way(self, ports: Mapping[str, int]) -> Bucket:
        """See `Part.way`."""
        keys = self._secrets()
        endpoint = f"http://{self.beside or HOST}:{ports['http']}"
        return Bucket(endpoint, _BUCKET, DEFAULT_REGION, keys.access_key, keys.secret_key)

    def settle(self, way: Bucket, wait: Wait) -> Bucket:
        """See `Part.settle`; the bucket is made."""
        wait.until_it_listens(int(way.endpoint.rpartition(":")[2]))
        gateway = S3Gateway(access(way), connections=1)
        try:
            wait.until(gateway.ensure_bucket)
        finally:
            gateway.close()
        return way

    @staticmethod
    def check(way: Bucket) -> None:
        """See `Part.check`."""
        gateway = S3Gateway(access(way), connections=1)
        try:
            gateway.look()
        finally:
            gateway.close()

    def given(self, environment: Mapping[str, str]) -> Bucket | None:
        """See `Part.given`."""
        return given_s3(environment)

    def _secrets(self) -> Keys:
        keys = records.read(self._keys, Keys, "remove it to get new keys")
        if keys is None:
            keys = Keys(secrets.token_hex(10), secrets.token_hex(20))
            records.write(self._keys, keys)
        return keys


def access(way: Bucket) -> S3Access:
    """The same, as the gateway takes it."""
    return S3Access(way.name, way.endpoint, way.region, way.access_key, way.secret_key)


def _has_attributes(path: Path) -> bool:
    """Whether metadata can be kept with the files; some file systems cannot."""
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
