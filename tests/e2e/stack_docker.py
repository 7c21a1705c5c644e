"""The HashiCorp stack whose slots are containers, over a dockerd of the tests' own."""

from __future__ import annotations

import asyncio
import atexit
import os
import socket
import struct
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from picloud_api.usecases.account import new_key

from tests.e2e import census, runtime
from tests.e2e.stack_hashicorp import HashiCorpStack
from tests.servers import image
from tests.servers.run_dockerd import Dockerd, dockerd

if TYPE_CHECKING:
    import psutil

    from tests.e2e.stacks import Options

PRISTINE: Final = {"jail": "a0000003", "neighbour": "a0000004"}
"""Accounts whose slots are just what a user's are: nothing is shared with them."""
_EVERYBODY: Final = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", whose, 7, 0xFFFFFFFF) for whose in (0x01, 0x04, 0x20)
)
"""An access list: read, write and search for owner, group and others."""


class DockerStack(HashiCorpStack):
    """The same stack with isolated slots."""

    name = "docker"

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        # Jobs are other users than tests, and each slot's another one.
        self.shared.chmod(0o777)
        os.setxattr(self.shared, "system.posix_acl_default", _EVERYBODY)
        self.pristine: dict[str, str] = {}

    @property
    def daemon(self) -> Dockerd:
        """The dockerd its slots run in."""
        return daemon()

    def start(self, options: Options | None = None) -> None:
        super().start(options)
        assert self._servers.open_as == "", self._servers.open_as
        assert self._servers.leaks == "", self._servers.leaks
        self._servers.close(self.url)

    def processes(self) -> list[psutil.Process]:
        return census.of(self.data, self.url, self._inside())

    def other_key(self) -> str:
        found = super().other_key()
        for name, account in PRISTINE.items():
            self.pristine[name] = asyncio.run(self._admit(new_key(), account))
        return found

    def own_address(self) -> str:
        """An address of this machine in the network it is in; its loopback one without any."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("192.0.2.1", 9))  # nothing is sent
            except OSError:
                return "127.0.0.1"
            return str(probe.getsockname()[0])

    def _inside(self) -> str:
        """The URL of the API as slots know it; "" before there is one."""
        slots = self._addresses.slots if self._addresses else None
        return f"http://{slots.host}:{self._port}" if slots else ""

    def _servers_environment(self) -> dict[str, str]:
        return {**super()._servers_environment(), "DOCKER_HOST": self.daemon.host}


@cache
def daemon() -> Dockerd:
    """The one dockerd of all tests of this process, with the image; it ends with the process."""
    opened = ExitStack()
    atexit.register(opened.close)
    folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="picloud-runtime-")))
    found: Dockerd = opened.enter_context(dockerd(runtime.script(folder)))
    image.load(found)
    return found
