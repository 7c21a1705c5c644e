"""The HashiCorp stack for tests: real Nomad, Consul, Vault and S3 under the same API."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import jwt
from picloud_api.settings import read
from picloud_api.store.commits import Commits
from picloud_api.store.records import Slot
from picloud_api.store.view import View
from picloud_api.usecases.accounts.account import Accounts, new_key
from picloud_api.usecases.accounts.slot_token import AUDIENCE
from picloud_api.wiring import Ports, hashicorp
from picloud_driver.stack.hashicorp import Stack as Servers

from tests.e2e.stacks import FIRST_ACCOUNT, EmbeddedStack, kill, line_of
from tests.polling import until
from tests.servers import running

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import psutil
    from picloud_driver.stack.addresses import Addresses

    from tests.e2e.stacks import Options

NO_DOCKER = "unix:///nonexistent/docker.sock"
SERVERS = ("consul", "vault", "versitygw", "nomad", "nats-server")


class HashiCorpStack(EmbeddedStack):
    """The API over servers of its own, each of which can be killed; `start` restarts it."""

    name = "hashicorp"
    api_processes = 1

    def __init__(self, root: Path, python: str = sys.executable) -> None:
        super().__init__(root, python)
        self._servers = Servers(self.data, self._servers_environment(), slots=2)
        self._addresses: Addresses | None = None

    def start(self, options: Options | None = None) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)
        self._addresses = self._servers.start()
        super().start(options)

    def stop(self) -> None:
        super().stop()
        self._servers.stop(self.url)

    def addresses(self) -> Addresses:
        """The addresses of its servers."""
        assert self._addresses is not None
        return self._addresses

    def revive(self) -> None:
        """Restart the servers that were killed; the API goes on meanwhile."""
        self._servers.start()

    def server(self, name: str) -> list[psutil.Process]:
        """Return the process of one of the five servers alone, not what it started; at most one."""
        lines = {process: line_of(process) for process in self.processes()}
        return [
            process
            for process, line in lines.items()
            if line and name in line[0] and "executor" not in line
        ]

    def kill_server(self, name: str) -> None:
        """Send SIGKILL to one of the five servers alone; what it started goes on."""
        for process in self.server(name):
            kill(process)
        until(
            lambda: name.removesuffix("-server") not in self._servers.running(), f"{name} is dead"
        )

    def other_key(self) -> str:
        self.data.mkdir(mode=0o700, exist_ok=True)
        self._addresses = self._servers.start()
        return asyncio.run(self._admit(new_key()))

    async def _admit(self, key: str, account: str = "a0000002") -> str:
        ports = self._ports()
        pepper = await ports.secrets.get_or_create("signing/pepper", lambda: os.urandom(32))
        accounts = Accounts(Commits(View(ports.state), "test"), pepper, lambda: 0.0)
        await accounts.create(account, "other")
        await accounts.store_key(account, key)
        await close(ports)
        return key

    def slot_token(self) -> str:
        return asyncio.run(self._slot_token())

    async def _slot_token(self) -> str:
        ports = self._ports()
        slots = await View(ports.state).scan(Slot.prefix)
        slot: Slot = next(it for it in slots.values() if it.pool.account == FIRST_ACCOUNT)
        secret = await ports.secrets.get("signing/token")
        await close(ports)
        assert secret is not None
        return jwt.encode({"aud": AUDIENCE, "sub": str(slot.number)}, secret, algorithm="HS256")

    def _servers_environment(self) -> dict[str, str]:
        """Return the environment in which programs are found; without `make servers` this fails."""
        for name in SERVERS:
            running.binary(name)
        kept = ("HOME", "PATH", "XDG_CACHE_HOME")
        inherited = {name: os.environ[name] for name in kept if name in os.environ}
        # Whether a dockerd runs on this machine decides nothing: these slots are not isolated.
        return inherited | {"DOCKER_HOST": NO_DOCKER}

    async def open_ports(self) -> Ports:
        return self._ports()

    def _ports(self) -> Ports:
        assert self._addresses is not None
        settings = read(["--data", str(self.data)], {})
        return hashicorp(settings, self._addresses, self.url or "http://127.0.0.1:1")

    def _command(self) -> list[str]:
        return [*super()._command(), "--stack", "hashicorp", "--processes", str(self.api_processes)]

    def _environment(self) -> Mapping[str, str]:
        assert self._addresses is not None
        return {**super()._environment(), **self._addresses.environment()}


class TwoProcesses(HashiCorpStack):
    """The same with two API processes behind one port."""

    name = "hashicorp, two processes"
    api_processes = 2


class ThreeProcesses(HashiCorpStack):
    """The same with three."""

    name = "hashicorp, three processes"
    api_processes = 3


async def close(ports: Ports) -> None:
    """Close what an API of a test works with."""
    for port in (ports.scheduler, ports.queues, ports.blobs, ports.secrets, ports.state):
        await port.close()
