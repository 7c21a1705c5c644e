"""Setup machines: jobs in copies of environments, which users change and save as new versions."""

from __future__ import annotations

from secrets import token_hex
from typing import TYPE_CHECKING

from msgspec.structs import replace
from picloud_driver.image import ImageState
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

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.store.records import Header
    from picloud_api.usecases.environments.environment import Environments
    from picloud_api.usecases.environments.environment_choice import EnvironmentChoice


class SetupMachines:
    """Opens, saves and closes the setup machines of accounts.

    The job of one is submitted by its client, in the environment `setup/<name>`.

    Args:
        context: Where environments are recorded.
        images: What they consist of.
        environments: What is saved as their versions.
        kill: Ends jobs of an account.
    """

    def __init__(
        self,
        context: Context,
        images: ImagePort,
        environments: Environments,
        kill: Callable[[str, Sequence[Range]], Awaitable[object]],
    ) -> None:
        self._commits = context.commits
        self._clock = context.clock
        self._images = images
        self._environments = environments
        self._choice: EnvironmentChoice = environments.choice
        self._kill = kill

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
                await self._images.open(record.setup.image, record.setup.origin)
                return await self.get(account, name)
            if record.current is None and not record.base:
                raise RequestConflict(unbuilt(name, record), field="name")
        else:
            record = await self._new(account, request)
        setup = await self._setup(record)
        await self._images.open(setup.image, setup.origin)
        key = environment_key(account, name)

        async def plan(draft: Draft) -> None:
            before: EnvironmentRecord | None = await draft.fresh(key)
            if before is None:
                draft.put(key, replace(record, setup=setup))
            elif request.base is not None:
                raise RequestConflict(taken(name), field="name")
            elif before.setup is None:
                draft.put(key, replace(before, setup=setup))

        await self._commits.run(plan)
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

        jids = await jobs_using(self._commits.view, account, is_machine)
        return wire.SetupMachine(
            name=name,
            env=env,
            state=states.get(found.state, "failed"),
            problem=found.problem,
            jid=jids[0][0] if jids else None,
        )

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
        machine = await self.get(account, request.name)
        if machine.jid is not None:
            await self._kill(account, [(machine.jid, machine.jid)])
        key = environment_key(account, request.name)

        async def plan(draft: Draft) -> None:
            before: EnvironmentRecord | None = await draft.fresh(key)
            if before is not None and before.setup is not None:
                draft.put(key, replace(before, setup=None))

        await self._commits.run(plan)

    async def _open(self, account: str, name: str) -> SetupRecord:
        record = await find(self._commits.view, account, name)
        if record.setup is None:
            raise RequestConflict(no_machine(name), field="name")
        return record.setup

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
