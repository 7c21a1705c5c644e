"""NATS for one machine: a single server with JetStream on disk, where queues are."""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

import msgspec

from picloud_driver import disk
from picloud_driver.nats.access import NatsAccess
from picloud_driver.queue.nats import NatsQueues
from picloud_driver.stack import records
from picloud_driver.stack.addresses import VendorServer, nats_of
from picloud_driver.stack.servers.ports import HOST
from picloud_driver.stack.servers.program import Program
from picloud_driver.stack.servers.stack_server import Launch, StackServer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from picloud_driver.nats.administrator import NatsAdministrator
    from picloud_driver.stack.servers.startup import StartupDeadline

Result = TypeVar("Result")

_MAX_PAYLOAD: Final = 8 * 1024 * 1024
"""Replies between API processes hold several messages."""


class NatsKeys(msgspec.Struct, frozen=True):
    """The token that clients send."""

    token: str


class Nats(StackServer[VendorServer]):
    """A NATS server."""

    name: ClassVar[str] = "nats"
    port_names: ClassVar[tuple[str, ...]] = ("client",)
    roles: ClassVar[tuple[str, ...] | None] = ()
    program: ClassVar[Program] = Program(
        name="nats-server",
        # The oldest with atomic batches and schedules.
        oldest=(2, 12, 0),
        get="https://github.com/nats-io/nats-server/releases",
        ask="--version",
    )

    def launch(self, ports: Mapping[str, int]) -> Launch:
        """See `StackServer.launch`."""
        data = self.directory / "data"
        disk.private_directory(data)
        files = self._authority.files(self.name)
        config = {
            "listen": f"{HOST}:{ports['client']}",
            "server_name": "picloud",
            "max_payload": _MAX_PAYLOAD,
            "authorization": {"token": self._keys_of_clients().token},
            "tls": {
                "cert_file": files.cert_file,
                "key_file": files.key_file,
                "ca_file": files.ca_file,
                "verify": True,
            },
            # Otherwise it acknowledges what it writes to disk two minutes later.
            "jetstream": {"store_dir": str(data), "sync_interval": "always"},
        }
        return Launch(["--config", str(self.write_config(config))])

    def address(self, ports: Mapping[str, int]) -> VendorServer:
        """See `StackServer.address`."""
        server = self.tls_address(ports["client"], self._keys_of_clients().token)
        return msgspec.structs.replace(server, address=f"tls://{HOST}:{ports['client']}")

    def make_ready(self, server: VendorServer, deadline: StartupDeadline) -> VendorServer:
        """See `StackServer.make_ready`."""
        deadline.until_listening(int(server.address.rpartition(":")[2]))
        deadline.until(lambda: self.check(server))
        return server

    @staticmethod
    def check(server: VendorServer) -> None:
        """See `StackServer.check`; JetStream must answer."""
        _in_thread(_ping(access(server)))

    def configured(self, environment: Mapping[str, str]) -> VendorServer | None:
        """See `StackServer.configured`."""
        return nats_of(environment)

    def is_own(self, address: str) -> bool:
        """See `StackServer.is_own`."""
        return address == f"tls://{HOST}:{self.record().ports.get('client')}"

    def _keys_of_clients(self) -> NatsKeys:
        keys = records.read(self._keys, NatsKeys, "remove it to get a new token")
        if keys is None:
            keys = NatsKeys(secrets.token_hex(20))
            records.write(self._keys, keys)
        return keys


def access(server: VendorServer) -> NatsAccess:
    """Return the address in the form that the gateway takes."""
    return NatsAccess(
        address=server.address,
        token=server.token,
        user=server.user,
        creds_file=server.creds_file,
        ca_file=server.ca_file,
        cert_file=server.cert_file,
        key_file=server.key_file,
        replicas=int(server.replicas or 1),
    )


def administer(
    server: VendorServer, operation: Callable[[NatsAdministrator], Coroutine[Any, Any, Result]]
) -> Result:
    """Return the result of an operation of an administrator.

    Raises:
        Unavailable: When JetStream does not answer, or refuses it.
    """
    # The client takes megabytes, which the API does not spend until a queue is used.
    from picloud_driver.nats.administrator import NatsAdministrator  # noqa: PLC0415

    async def run() -> Result:
        nats = NatsAdministrator(access(server))
        try:
            return await operation(nats)
        finally:
            await nats.close()

    return _in_thread(run())


def fewer_copies(server: VendorServer) -> list[str]:
    """Return the queues that fewer servers store than are to.

    Raises:
        Unavailable: When JetStream does not answer.
    """
    return administer(server, lambda nats: nats.fewer())


async def _ping(server: NatsAccess) -> None:
    queues = NatsQueues(server)
    try:
        await queues.ping()
    finally:
        await queues.close()


def _in_thread(operation: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in a thread, as this is also called where an event loop runs."""
    with ThreadPoolExecutor(1, "nats") as thread:
        return thread.submit(asyncio.run, operation).result()
