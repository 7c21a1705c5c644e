"""The switch of notebooks and desktops: pages start them again, and shut them down."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace
from picloud_model.errors import RequestConflict, Unavailable
from picloud_model.wire import encode
from picloud_model.wire.blob import Content
from picloud_model.wire.job import SubmitRequest
from picloud_model.wire.notebook import RunNotebookRequest
from picloud_model.wire.tunnel import ACCEPTED, TunnelRequest

from picloud_api.engine.jobs.locate import locate
from picloud_api.store import layout

if TYPE_CHECKING:
    from picloud_model.wire.notebook import MachineKind, Notebook
    from picloud_model.wire.tunnel import TunnelOpened

    from picloud_api.engine.process.context import Context
    from picloud_api.store.records import Header
    from picloud_api.usecases.environments.notebook import Notebooks
    from picloud_api.usecases.jobs.kill import KillJobs
    from picloud_api.usecases.jobs.submit import SubmitJobs
    from picloud_api.usecases.jobs.tunnel import JobTunnels

_REPLY_S: Final = 15.0
_ID_BYTES: Final = 16
_SHUTDOWN: Final = (
    "POST /api/shutdown HTTP/1.1\r\nHost: localhost\r\nAuthorization: token {token}\r\n"
    "Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
)


class MachineSwitch:
    """Starts machines again, and shuts them down.

    Args:
        context: Where jobs are read.
        notebooks: The machines.
        submit: Submits their jobs.
        kill: Kills those that do not listen yet.
        tunnels: Opens streams to them.
        host: The address at which gateways of this server listen.
    """

    def __init__(
        self,
        context: Context,
        notebooks: Notebooks,
        *,
        submit: SubmitJobs,
        kill: KillJobs,
        tunnels: JobTunnels,
        host: str,
    ) -> None:
        self._view = context.commits.view
        self._notebooks = notebooks
        self._submit = submit
        self._kill = kill
        self._tunnels = tunnels
        self._host = host

    async def start(self, account: str, name: str, kind: MachineKind) -> int:
        """Submit the job of a machine again, as its last one was; return its jid.

        One that has not ended goes on. A repeated request submits no second job.

        Raises:
            NotFound: When the account has no such machine.
            RequestConflict: When its last job was deleted.
            PiCloudError: When the job cannot be submitted now, as for `SubmitJobs.submit`.
        """
        machine = await self._notebooks.get(account, name, kind)
        if not machine.ended:
            return machine.jid
        request = await self._again(account, machine)
        fingerprint = blake2b(encode(request), digest_size=_ID_BYTES).digest()
        jid = (await self._submit.submit(account, request, fingerprint)).first
        await self._notebooks.run(account, RunNotebookRequest(name=name, jid=jid, kind=kind))
        return jid

    async def stop(self, account: str, name: str, kind: MachineKind) -> None:
        """Shut a machine down; its job stores the files, and ends.

        Raises:
            NotFound: When the account has no such machine.
            Unavailable: When it cannot be reached now.
            RequestConflict: When jobs of this stack cannot be reached.
        """
        machine = await self._notebooks.get(account, name, kind)
        if machine.ended:
            return
        if machine.port is None:
            await self._kill.kill(account, [(machine.jid, machine.jid)])
            return
        request = TunnelRequest(jid=machine.jid, port=machine.port)
        opened = await self._tunnels.open(account, request)
        try:
            async with asyncio.timeout(_REPLY_S):
                status = await self._shut_down(opened, machine.token)
        except (OSError, TimeoutError):
            status = b""
        if b" 200 " not in status:
            raise Unavailable(
                f"The {kind} {name!r} does not answer now: try again, or kill job {machine.jid}, "
                "which ends it without what it has not stored."
            )

    async def _shut_down(self, opened: TunnelOpened, token: str) -> bytes:
        """Ask a machine to end; return the first line of its reply."""
        reader, writer = await asyncio.open_connection(opened.host or self._host, opened.port)
        try:
            writer.write(f"{opened.ticket}\n".encode())
            if await reader.readline() != ACCEPTED:
                return b""
            writer.write(_SHUTDOWN.format(token=token).encode())
            return await reader.readline()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _again(self, account: str, machine: Notebook) -> SubmitRequest:
        """Return a request for a job like the last one of a machine."""
        (piece,) = await locate(self._view, account, [(machine.jid, machine.jid)])
        batch = piece.page_id.batch
        header: Header | None = await self._view.get(layout.header(account, batch))
        parts = []
        for part in header.parts if header is not None else ():
            content = part.content
            if not content.digest:
                pack = await self._view.get(layout.arguments(account, batch, part.first))
                if pack is None:
                    break
                content = Content(data=bytes(pack))
            parts.append(replace(part, content=content))
        is_whole = header is not None and len(parts) == len(header.parts)
        if header is None or not is_whole or header.function == Content():
            kind, name = machine.kind, machine.name
            raise RequestConflict(
                f"Job {machine.jid}, the last one of the {kind} {name!r}, was deleted: "
                f"picloud {kind} start {name} starts it again.",
                field="name",
            )
        seed = f"{account}/{machine.kind}/{machine.name}/{machine.jid}".encode()
        return SubmitRequest(
            submit_id=blake2b(seed, digest_size=_ID_BYTES).hexdigest(),
            kind="call",
            count=1,
            envelope=header.envelope,
            function=header.function,
            function_name=header.function_name,
            bundle=header.bundle,
            options=header.options,
            parts=parts,
        )
