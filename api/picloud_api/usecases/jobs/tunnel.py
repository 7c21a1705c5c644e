"""`tunnel`: opens streams to running jobs, to a port on which they listen or to a shell.

Clients with a key request each stream. Public ports have an address at a gateway, to which clients
without a key connect.
"""

from __future__ import annotations

import asyncio
import contextlib
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from picloud_model.errors import RequestConflict, RequestRefused, Unavailable
from picloud_model.job import State
from picloud_model.wire import MAX_PORTS, SshOrder, TunnelOrder
from picloud_model.wire.tunnel import CERTIFICATE_S, SSH_PORT, CertificateIssued, TunnelOpened

from picloud_api.engine.jobs.live_query import held_at
from picloud_api.engine.jobs.locate import locate, refuse_deleted
from picloud_api.store import layout

if TYPE_CHECKING:
    from picloud_driver.gateway import GatewayPort, PublicHost, SlotTicket, StreamTickets
    from picloud_driver.secret import SecretPort
    from picloud_model.page import Page
    from picloud_model.wire import AttemptRef, Info, Options
    from picloud_model.wire.tunnel import CertificateRequest, PortAccess, TunnelRequest

    from picloud_api.engine.jobs.live_query import LiveQueries
    from picloud_api.engine.jobs.locate import PageSlice
    from picloud_api.engine.process.context import Context

SWEEP_S: Final = 5.0
"""Time between two looks for jobs that have ended, whose ports are then withdrawn."""
REPORTED_S: Final = 1.0
"""How long a job that a slot has leased may take until it is reported that it has begun."""
_SEED_BYTES: Final = 32


class RunningJobs:
    """Finds the slots of jobs that run now."""

    def __init__(self, context: Context) -> None:
        self._view = context.commits.view
        self._watchers = context.batch_watchers

    async def find(self, account: str, jid: int) -> tuple[AttemptRef, int]:
        """Return the attempt of a running job, and its slot.

        Raises:
            JobNotFound: When the job does not exist in this account.
            JobDeleted: When it was deleted.
            RequestConflict: When it is not running.
        """
        (piece,) = await locate(self._view, account, [(jid, jid)])
        with (
            self._watchers.watch({piece.page_id.batch}) as watch,
            contextlib.suppress(TimeoutError),
        ):
            # A slot reports a moment later that a job has begun, which may listen by then.
            async with asyncio.timeout(REPORTED_S):
                while True:
                    watch.changed()
                    state, attempt, slot = await self._look(piece)
                    if state.final:
                        raise RequestConflict(f"Job {jid} has ended.", field="jid")
                    if state is State.PROCESSING:
                        return attempt, slot
                    if state is not State.LEASED:
                        break
                    await watch.wait_for_change(REPORTED_S)
        message = f"Job {jid} has not started; wait until its status is processing."
        raise RequestConflict(message, field="jid")

    async def _look(self, piece: PageSlice) -> tuple[State, AttemptRef, int]:
        """Return the state of a job, its attempt, and the slot that has it."""
        page_id, index = piece.page_id, piece.start
        await self._view.refresh([layout.page(page_id)])
        page: Page = await self._view.get(layout.page(page_id))
        refuse_deleted(page, piece)
        attempt = held_at(page_id.batch, page_id.page, page, index)
        return State(page.state[index]), attempt, page.slot[index]


class JobTunnels:
    """Opens streams to jobs: the slot is asked through its heartbeat, and dials the gateway."""

    def __init__(self, context: Context, live: LiveQueries, gateway: GatewayPort) -> None:
        self._running = RunningJobs(context)
        self._live = live
        self._gateway = gateway

    async def open(self, account: str, request: TunnelRequest) -> TunnelOpened:
        """Return where the client connects, and its ticket.

        Raises:
            JobNotFound: When the job does not exist in this account.
            JobDeleted: When it was deleted.
            RequestConflict: When it is not running, when its own processes do not listen on the
                port, or when jobs of this stack cannot be reached.
            Unavailable: When its slot, or a gateway, does not answer.
        """
        jid, port = request.jid, request.port
        running = await self._running.find(account, jid)
        tickets = await self._gateway.open()
        order = TunnelOrder(
            port=port,
            gateway_port=tickets.port,
            ticket=tickets.slot,
            gateway_host=tickets.slot_host,
        )
        _check_listens(await self._order(account, jid, running, order), jid, port)
        return _opened(tickets)

    async def open_shell(self, account: str, jid: int, ssh: SshOrder) -> TunnelOpened:
        """Return where the client of a shell connects; raises as `open`."""
        running = await self._running.find(account, jid)
        opened, order = await self.order_shell(ssh)
        await self._order(account, jid, running, order)
        return opened

    async def order_shell(self, ssh: SshOrder) -> tuple[TunnelOpened, TunnelOrder]:
        """Return where the client of a shell connects, and what its other end is sent.

        Raises:
            RequestConflict: When nothing of this stack can be reached through a gateway.
            Unavailable: When no gateway can be started now.
        """
        tickets = await self._gateway.open()
        order = TunnelOrder(
            port=SSH_PORT,
            gateway_port=tickets.port,
            ticket=tickets.slot,
            ssh=ssh,
            gateway_host=tickets.slot_host,
        )
        return _opened(tickets), order

    async def invite(self, account: str, jid: int, port: int, slot: SlotTicket) -> None:
        """Ask the slot of a job for its end of a stream of a client; raises as `open`."""
        running = await self._running.find(account, jid)
        order = TunnelOrder(
            port=port, gateway_port=slot.port, ticket=slot.ticket, gateway_host=slot.host
        )
        _check_listens(await self._order(account, jid, running, order), jid, port)

    async def _order(
        self, account: str, jid: int, running: tuple[AttemptRef, int], order: TunnelOrder
    ) -> Info:
        info = await self._live.info(account, *running, {}, order)
        if info is None:
            raise Unavailable(f"The slot that runs job {jid} did not answer.")
        return info


def _opened(tickets: StreamTickets) -> TunnelOpened:
    return TunnelOpened(port=tickets.port, ticket=tickets.client, host=tickets.host)


def _check_listens(info: Info, jid: int, port: int) -> None:
    if info.ports is None or port not in info.ports.get("tcp", ()):
        message = f"Job {jid} does not listen on TCP port {port}."
        raise RequestConflict(message, field="port")


class PublicPorts:
    """Gives the public ports of running jobs an address of the gateway, until the job has ended.

    Args:
        context: The state of jobs.
        tunnels: Asks slots for streams.
        gateway: Listens.
        host: Where it does, and which ports are public.
    """

    def __init__(
        self, context: Context, tunnels: JobTunnels, gateway: GatewayPort, host: PublicHost
    ) -> None:
        self._running = RunningJobs(context)
        self._tunnels = tunnels
        self._gateway = gateway
        self._host = host
        self._published: dict[tuple[str, int], set[int]] = {}
        self._sweep: asyncio.Task[None] | None = None

    async def places(
        self, account: str, jid: int, options: Options, info: Info
    ) -> dict[str, dict[int, dict[str, Any]]] | None:
        """Return where the ports are reached on which a job listens, by protocol and port.

        The address of a port that is not public, or of UDP, is None: a client with a key opens a
        tunnel to it.
        """
        if info.ports is None:
            return None
        nowhere: dict[str, Any] = {"address": None, "port": None}
        places = {protocol: dict.fromkeys(ports, nowhere) for protocol, ports in info.ports.items()}
        for port in [*places.get("tcp", ())][:MAX_PORTS]:
            if options.ports.get(port, self._default) == "public":
                reached = await self._publish(account, jid, port)
                if reached is not None:
                    places["tcp"][port] = {"address": self._host.address, "port": reached}
        return places

    @property
    def _default(self) -> PortAccess:
        return "public" if self._host.by_default else "private"

    async def _publish(self, account: str, jid: int, port: int) -> int | None:
        async def invite(slot: SlotTicket) -> None:
            await self._tunnels.invite(account, jid, port, slot)

        try:
            reached = await self._gateway.publish(_name(account, jid, port), invite)
        except (RequestRefused, Unavailable):
            return None
        self._published.setdefault((account, jid), set()).add(port)
        if self._sweep is None or self._sweep.done():
            self._sweep = asyncio.create_task(self._withdraw_of_ended())
        return reached

    async def _withdraw_of_ended(self) -> None:
        """Withdraw the ports of jobs that have ended, until none is published."""
        while self._published:
            await asyncio.sleep(SWEEP_S)
            for account, jid in [*self._published]:
                with contextlib.suppress(Unavailable):
                    await self._withdraw_if_ended(account, jid)

    async def _withdraw_if_ended(self, account: str, jid: int) -> None:
        try:
            await self._running.find(account, jid)
        except RequestRefused:
            for port in self._published.pop((account, jid)):
                await self._gateway.withdraw(_name(account, jid, port))

    async def stop(self) -> None:
        """Stop looking for jobs that have ended."""
        if self._sweep is not None:
            self._sweep.cancel()
            await asyncio.gather(self._sweep, return_exceptions=True)


def _name(account: str, jid: int, port: int) -> str:
    return f"{account}-{jid}-{port}"


class JobShells:
    """Opens shells in running jobs by SSH.

    Args:
        context: The state of jobs.
        tunnels: Asks slots for streams.
        secrets: Signs the certificates of clients.
        key: What the host keys of jobs are derived from, so that each job has one for its life.
    """

    def __init__(
        self, context: Context, tunnels: JobTunnels, secrets: SecretPort, key: bytes
    ) -> None:
        self._running = RunningJobs(context)
        self._tunnels = tunnels
        self._secrets = secrets
        self._key = key

    async def certify(self, account: str, request: CertificateRequest) -> CertificateIssued:
        """Return a certificate for one job, and the job's public key.

        Raises:
            JobNotFound: When the job does not exist in this account.
            JobDeleted: When it was deleted.
            RequestConflict: When it is not running.
            Unavailable: When the store of secrets cannot sign.
        """
        jid = request.jid
        await self._running.find(account, jid)
        return await self.certify_for(_principal(account, jid), request.public_key)

    async def open(self, account: str, jid: int) -> TunnelOpened:
        """Return where the client connects, and its ticket; raises as `JobTunnels.open`."""
        order = await self._order(_principal(account, jid))
        return await self._tunnels.open_shell(account, jid, order)

    async def certify_for(self, principal: str, public_key: str) -> CertificateIssued:
        """Return a certificate that names a principal, and the public key of its host.

        Raises:
            Unavailable: When the store of secrets cannot sign.
        """
        try:
            certificate = await self._secrets.sign_ssh(public_key, principal, CERTIFICATE_S)
        except ValueError as error:
            raise RequestRefused("The public key is not valid.", field="public_key") from error
        host_key = self._host_key(principal).public_key()
        return CertificateIssued(
            certificate=certificate,
            host_key=host_key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(),
            valid_s=CERTIFICATE_S,
        )

    async def shell_order(self, principal: str) -> tuple[TunnelOpened, TunnelOrder]:
        """Return where a client connects to a setup machine, and what the machine is sent.

        Raises as `JobTunnels.order_shell`.
        """
        return await self._tunnels.order_shell(await self._order(principal))

    async def _order(self, principal: str) -> SshOrder:
        private = self._host_key(principal).private_bytes(
            Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
        )
        return SshOrder(await self._secrets.ssh_authority(), principal, private.decode())

    def _host_key(self, principal: str) -> Ed25519PrivateKey:
        seed = blake2b(principal.encode(), key=self._key, digest_size=_SEED_BYTES).digest()
        return Ed25519PrivateKey.from_private_bytes(seed)


def _principal(account: str, jid: int) -> str:
    """Return whom certificates for a job name.

    >>> _principal("a0000001", 7)
    'a0000001-job-7'
    """
    return f"{account}-job-{jid}"
