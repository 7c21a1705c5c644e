"""`tunnel`: opens streams to running jobs, to a port on which they listen or to a shell."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from picloud_model.errors import RequestConflict, RequestRefused, Unavailable
from picloud_model.job import State
from picloud_model.wire import SshOrder, TunnelOrder
from picloud_model.wire.tunnel import CERTIFICATE_S, SSH_PORT, CertificateIssued, TunnelOpened

from picloud_api.engine.jobs.live_query import held_at
from picloud_api.engine.jobs.locate import locate, read_pages, refuse_deleted

if TYPE_CHECKING:
    from picloud_driver.gateway import GatewayPort, StreamTickets
    from picloud_driver.secret import SecretPort
    from picloud_model.wire import AttemptRef, Info
    from picloud_model.wire.tunnel import CertificateRequest, TunnelRequest

    from picloud_api.engine.jobs.live_query import LiveQueries
    from picloud_api.engine.process.context import Context

_SEED_BYTES: Final = 32


class RunningJobs:
    """Finds the slots of jobs that run now."""

    def __init__(self, context: Context) -> None:
        self._view = context.commits.view

    async def find(self, account: str, jid: int) -> tuple[AttemptRef, int]:
        """Return the attempt of a running job, and its slot.

        Raises:
            JobNotFound: When the job does not exist in this account.
            JobDeleted: When it was deleted.
            RequestConflict: When it is not running.
        """
        (piece,) = await locate(self._view, account, [(jid, jid)])
        async for _, page in read_pages(self._view, [piece]):
            refuse_deleted(page, piece)
            state = State(page.state[piece.start])
            if state.final:
                raise RequestConflict(f"Job {jid} has ended.", field="jid")
            if state is not State.PROCESSING:
                break
            page_id = piece.page_id
            attempt = held_at(page_id.batch, page_id.page, page, piece.start)
            return attempt, page.slot[piece.start]
        message = f"Job {jid} has not started; wait until its status is processing."
        raise RequestConflict(message, field="jid")


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
        info, tickets = await self.order(account, jid, port)
        if info.ports is None or port not in info.ports.get("tcp", ()):
            message = f"Job {jid} does not listen on TCP port {port}."
            raise RequestConflict(message, field="port")
        return TunnelOpened(port=tickets.port, ticket=tickets.client)

    async def order(
        self, account: str, jid: int, port: int, ssh: SshOrder | None = None
    ) -> tuple[Info, StreamTickets]:
        """Ask the slot of a job for a stream; return its reply and tickets; raises as `open`."""
        attempt, slot = await self._running.find(account, jid)
        tickets = await self._gateway.open()
        order = TunnelOrder(port, tickets.port, tickets.slot, ssh)
        info = await self._live.info(account, attempt, slot, {}, order)
        if info is None:
            raise Unavailable(f"The slot that runs job {jid} did not answer.")
        return info, tickets


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
        try:
            certificate = await self._secrets.sign_ssh(
                request.public_key, _principal(account, jid), CERTIFICATE_S
            )
        except ValueError as error:
            raise RequestRefused("The public key is not valid.", field="public_key") from error
        host_key = self._host_key(account, jid).public_key()
        return CertificateIssued(
            certificate=certificate,
            host_key=host_key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(),
            valid_s=CERTIFICATE_S,
        )

    async def open(self, account: str, jid: int) -> TunnelOpened:
        """Return where the client connects, and its ticket; raises as `JobTunnels.open`."""
        private = self._host_key(account, jid).private_bytes(
            Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
        )
        authority = await self._secrets.ssh_authority()
        order = SshOrder(authority, _principal(account, jid), private.decode())
        _, tickets = await self._tunnels.order(account, jid, SSH_PORT, order)
        return TunnelOpened(port=tickets.port, ticket=tickets.client)

    def _host_key(self, account: str, jid: int) -> Ed25519PrivateKey:
        name = _principal(account, jid).encode()
        seed = blake2b(name, key=self._key, digest_size=_SEED_BYTES).digest()
        return Ed25519PrivateKey.from_private_bytes(seed)


def _principal(account: str, jid: int) -> str:
    """Return whom certificates for a job name.

    >>> _principal("a0000001", 7)
    'a0000001-job-7'
    """
    return f"{account}-job-{jid}"
