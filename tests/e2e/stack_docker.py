"""The HashiCorp stack with slots in containers, over a dockerd that the tests start."""

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

import jwt
from picloud_api.store.records import Slot
from picloud_api.store.view import View
from picloud_api.usecases.accounts.account import new_key
from picloud_api.usecases.accounts.slot_token import AUDIENCE
from picloud_model.token import slot_key

from tests.e2e import container_runtime, processes
from tests.e2e.stack_hashicorp import HashiCorpStack, close
from tests.servers import image
from tests.servers.run_dockerd import Dockerd, dockerd

if TYPE_CHECKING:
    import psutil

    from tests.e2e.stacks import Options

PRISTINE: Final = {"jail": "a0000003", "neighbour": "a0000004"}
"""Accounts whose slots are exactly what a user's are: nothing is shared with them."""
_EVERYBODY: Final = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", whose, 7, 0xFFFFFFFF) for whose in (0x01, 0x04, 0x20)
)
"""An access control list: read, write and search for owner, group and others."""


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
        """The dockerd that its slots run in."""
        return daemon()

    def start(self, options: Options | None = None) -> None:
        super().start(options)
        assert self._servers.not_isolated == "", self._servers.not_isolated
        assert self._servers.firewall_missing == "", self._servers.firewall_missing
        self._servers.restrict_slots(self.url)

    def processes(self) -> list[psutil.Process]:
        return processes.of_stack(self.data, self.url, self._inside())

    def other_key(self) -> str:
        key = super().other_key()
        for name, account in PRISTINE.items():
            self.pristine[name] = asyncio.run(self._admit(new_key(), account))
        return key

    def secrets(self) -> dict[str, bytes]:
        """Every secret that no job may learn, by name."""
        return asyncio.run(self._all_secrets())

    async def _all_secrets(self) -> dict[str, bytes]:
        ports, by_name = self._ports(), dict[str, bytes]()
        for name in ("pepper", "token", "job", "archive"):
            secret = await ports.secrets.get(f"signing/{name}")
            assert secret is not None, name
            by_name[name] = secret
        slots: dict[str, Slot] = await View(ports.state).scan(Slot.prefix)
        for slot in slots.values():
            claims = {"aud": AUDIENCE, "sub": str(slot.number)}
            token = jwt.encode(claims, by_name["token"], algorithm="HS256")
            by_name[f"token of slot {slot.number}"] = token.encode()
            key = slot_key(by_name["job"], slot.pool.account, slot.number)
            by_name[f"key of slot {slot.number}"] = key
        await close(ports)
        way = self.addresses()
        texts = {
            "an API key": self.key,
            **{f"the API key of {name}": key for name, key in self.pristine.items()},
            "Nomad": way.nomad.token,
            "Consul": way.consul.token,
            "Vault": way.vault.token,
            "S3": way.s3.secret_key,
        }
        return by_name | {name: text.encode() for name, text in texts.items()}

    def own_address(self) -> str:
        """Return an address of this machine in its network; the loopback address if it has no
        network.
        """
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("192.0.2.1", 9))  # nothing is sent
            except OSError:
                return "127.0.0.1"
            return str(probe.getsockname()[0])

    def _inside(self) -> str:
        """Return the URL of the API as slots know it; "" before it exists."""
        slots = self._addresses.slots if self._addresses else None
        return f"http://{slots.host}:{self._port}" if slots else ""

    def _servers_environment(self) -> dict[str, str]:
        return {**super()._servers_environment(), "DOCKER_HOST": self.daemon.host}


@cache
def daemon() -> Dockerd:
    """Return the one dockerd of all tests in this process, with the image; it ends with the
    process.
    """
    opened = ExitStack()
    atexit.register(opened.close)
    folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="picloud-runtime-")))
    started: Dockerd = opened.enter_context(dockerd(container_runtime.script(folder)))
    image.load(started)
    return started
