"""Setup machines: copies of environments, which users change and save as new versions.

They are jobs, or, where jobs are isolated in containers, containers of their own.
"""

from __future__ import annotations

import asyncio
from secrets import token_hex
from typing import TYPE_CHECKING, Final, Protocol

from msgspec.structs import replace
from picloud_driver.image import MACHINES_ARE_JOBS, ImageState
from picloud_model.errors import RequestConflict
from picloud_model.wire import environment as environment_wire
from picloud_model.wire import setup_machine as wire

from picloud_api.engine.jobs.in_use import jobs_using
from picloud_api.usecases.environments.environment_choice import base_named, unbuilt
from picloud_api.usecases.environments.environment_record import (
    EnvironmentRecord,
    SetupRecord,
    environment_key,
    find,
    no_machine,
    taken,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from picloud_driver.image import ImagePort
    from picloud_model.ranges import Range
    from picloud_model.wire import TunnelOrder
    from picloud_model.wire.tunnel import CertificateIssued, TunnelOpened

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.store.records import Header
    from picloud_api.usecases.environments.environment import Environments
    from picloud_api.usecases.environments.environment_choice import EnvironmentChoice


MOST_OPEN: Final = 4
"""How many setup machines in containers an account may have at the same time."""


class MachineShells(Protocol):
    """Opens shells in machines that are containers."""

    async def shell_order(self, principal: str) -> tuple[TunnelOpened, TunnelOrder]:
        """Return where the client of a shell connects, and what its server needs."""

    async def certify_for(self, principal: str, public_key: str) -> CertificateIssued:
        """Return a certificate that names a principal, and the public key of its host."""


class SetupMachines:
    """Opens, saves and closes the setup machines of accounts.

    The job of one is submitted by its client, in the environment `setup/<name>`. A machine that
    is a container runs from when it is opened until it is closed.

    Args:
        context: Where environments are recorded.
        images: What they consist of.
        environments: What is saved as their versions.
        kill: Ends jobs of an account.
        shells: Opens shells.
    """

    def __init__(
        self,
        context: Context,
        images: ImagePort,
        environments: Environments,
        kill: Callable[[str, Sequence[Range]], Awaitable[object]],
        shells: MachineShells,
    ) -> None:
        self._commits = context.commits
        self._clock = context.clock
        self._images = images
        self._environments = environments
        self._choice: EnvironmentChoice = environments.choice
        self._kill = kill
        self._shells = shells
        self._opening: dict[str, asyncio.Lock] = {}
        """One machine of an account at a time, so that it has no more of them than it may."""

    async def open(self, account: str, request: wire.OpenSetupRequest) -> wire.SetupMachine:
        """Open the machine of an environment; one that is open stays as it is.

        Raises:
            RequestConflict: When the environment is to be new, but exists.
            RequestRefused: When there is no such base, or there are no setup machines here.
        """
        name = request.name
        if request.base is None:
            record = await find(self._commits.view, account, name)
            record = await self._choice.settle(account, name, record)
            if record.setup is not None:
                # A machine that was lost begins again as what was saved last.
                origin = record.current.image if record.current else record.setup.origin
                lost = (await self._images.find(record.setup.image)).state is ImageState.ABSENT
                await self._images.open(record.setup.image, origin)
                return replace(await self.get(account, name), lost=lost)
            if record.current is None and not record.base:
                raise RequestConflict(unbuilt(name, record), field="name")
        else:
            record = await self._new(account, request)
        async with self._opening.setdefault(account, asyncio.Lock()):
            await self._check_room(account)
            setup = await self._setup(record)
            await self._images.open(setup.image, setup.origin)
            await self._record(account, request, replace(record, setup=setup))
        return await self.get(account, name)

    async def get(self, account: str, name: str) -> wire.SetupMachine:
        """Return what is known of a machine.

        Raises:
            RequestConflict: When the environment has none; all methods below raise it, too.
        """
        setup = await self._open(account, name)
        env = f"{wire.SETUP}{name}"
        found = await self._images.find(setup.image)
        states: dict[ImageState, wire.SetupState] = {
            ImageState.READY: "ready",
            ImageState.BUILDING: "preparing",
        }

        def is_machine(header: Header) -> bool:
            return header.options.env == env

        is_job = self._images.machines_are_jobs
        jids = await jobs_using(self._commits.view, account, is_machine) if is_job else []
        return wire.SetupMachine(
            name=name,
            env=env,
            state=states.get(found.state, "failed"),
            problem=found.problem,
            jid=jids[0][0] if jids else None,
            is_job=is_job,
        )

    async def open_shell(self, account: str, request: wire.SetupShellRequest) -> TunnelOpened:
        """Return where the client of a shell in a machine that is a container connects.

        Raises:
            Unavailable: When the machine, or a gateway, does not run.
        """
        setup = await self._open(account, request.name)
        self._refuse_job()
        opened, order = await self._shells.shell_order(_principal(account, setup))
        await self._images.serve_shell(setup.image, order)
        return opened

    async def certify(
        self, account: str, request: wire.SetupCertificateRequest
    ) -> CertificateIssued:
        """Return a certificate for one machine that is a container, and its public key."""
        setup = await self._open(account, request.name)
        self._refuse_job()
        return await self._shells.certify_for(_principal(account, setup), request.public_key)

    async def save(
        self, account: str, request: wire.SaveSetupRequest
    ) -> environment_wire.Environment:
        """Begin to save what a machine has become, as the next version of its environment.

        Raises:
            RequestConflict: When a command runs in it.
        """
        setup = await self._open(account, request.name)
        image = await self._images.snapshot(setup.image)
        return await self._environments.save(account, request.name, setup, image)

    async def close(self, account: str, request: wire.CloseSetupRequest) -> None:
        """End a machine; its files are removed with the images that nothing uses."""
        setup = await self._open(account, request.name)
        machine = await self.get(account, request.name)
        if machine.jid is not None:
            await self._kill(account, [(machine.jid, machine.jid)])
        key = environment_key(account, request.name)

        async def plan(draft: Draft) -> None:
            before: EnvironmentRecord | None = await draft.fresh(key)
            if before is not None and before.setup is not None:
                draft.put(key, replace(before, setup=None))

        await self._commits.run(plan)
        if not self._images.machines_are_jobs:
            await self._images.remove(setup.image)

    async def _open(self, account: str, name: str) -> SetupRecord:
        record = await find(self._commits.view, account, name)
        if record.setup is None:
            raise RequestConflict(no_machine(name), field="name")
        return record.setup

    def _refuse_job(self) -> None:
        if self._images.machines_are_jobs:
            raise RequestConflict(MACHINES_ARE_JOBS, field="name")

    async def _check_room(self, account: str) -> None:
        """Refuse one more container, which takes memory without being paid for as a job is."""
        if self._images.machines_are_jobs:
            return
        records = await self._commits.view.scan(environment_key(account))
        names = [key.rpartition("/")[2] for key, record in records.items() if record.setup]
        if len(names) >= MOST_OPEN:
            message = f"An account has up to {MOST_OPEN} setup machines at a time, yours are of"
            names = sorted(names)
            raise RequestConflict(
                f"{message} {', '.join(names)}; picloud env shutdown {names[0]} ends one.",
                field="name",
            )

    async def _record(
        self, account: str, request: wire.OpenSetupRequest, made: EnvironmentRecord
    ) -> None:
        key = environment_key(account, request.name)

        async def plan(draft: Draft) -> None:
            before: EnvironmentRecord | None = await draft.fresh(key)
            if before is None:
                draft.put(key, made)
            elif request.base is not None:
                raise RequestConflict(taken(request.name), field="name")
            elif before.setup is None:
                draft.put(key, replace(before, setup=made.setup))

        await self._commits.run(plan)

    async def _new(self, account: str, request: wire.OpenSetupRequest) -> EnvironmentRecord:
        await self._environments.check_room(account, request.name)
        key = environment_key(account, request.name)
        if await self._commits.view.fresh(key) is not None:
            raise RequestConflict(taken(request.name), field="name")
        base = await base_named(self._images, request.base or "", "base")
        now = self._clock()
        return EnvironmentRecord(
            desc=request.desc or "", created_at=now, modified_at=now, base=base.name
        )

    async def _setup(self, record: EnvironmentRecord) -> SetupRecord:
        """Return a new machine that begins as the current version, or else as the base."""
        image = f"sha256:{token_hex(32)}"
        if record.current is not None:
            current = record.current
            return SetupRecord(
                image=image, origin=current.image, base=current.base, python=current.python
            )
        base = await base_named(self._images, record.base, "base")
        origin = await self._choice.ready_base(base, "base")
        return SetupRecord(image=image, origin=origin, base=base.name, python=base.python)


def _principal(account: str, setup: SetupRecord) -> str:
    """Return whom certificates for a machine name: no other machine, and no job."""
    return f"{account}-setup-{setup.image.removeprefix('sha256:')[:32]}"
