"""Environments: built from recipes, kept as versions, and used by their names."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace
from picloud_driver.image import Image, ImageState
from picloud_model.errors import RequestConflict, RequestRefused, TooLarge
from picloud_model.wire import environment as wire

from picloud_api.engine.jobs.in_use import refuse_in_use
from picloud_api.usecases.environments.environment_choice import (
    base_named,
    unbuilt,
    with_pending,
    with_version,
)
from picloud_api.usecases.environments.environment_record import (
    EnvironmentRecord,
    environment_key,
    find,
    owner_and_name,
    taken,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_driver.image import ImagePort

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.store.records import Header
    from picloud_api.usecases.environments.environment_choice import EnvironmentChoice
    from picloud_api.usecases.environments.environment_record import SetupRecord

_FIRST_LOOK_S: Final = 0.02
_LOOK_EVERY_S: Final = 0.1
"""How often a build is checked for a request that follows its log, after some first looks."""
_GONE: Final = "Its files are missing on the server; build it again."


class Environments:
    """Builds, lists, changes and deletes the environments of accounts.

    Args:
        context: Where environments are recorded.
        images: What they consist of.
        choice: Which version of one is current.
    """

    def __init__(self, context: Context, images: ImagePort, choice: EnvironmentChoice) -> None:
        self.choice = choice
        self._commits = context.commits
        self._clock = context.clock
        self._images = images

    async def build(self, account: str, request: wire.BuildEnvironmentRequest) -> wire.Environment:
        """Begin to build a version of an environment.

        Raises:
            RequestRefused: When the recipe cannot be built here.
        """
        recipe = request.recipe
        if len(msgspec.json.encode(recipe)) > wire.MAX_RECIPE_BYTES:
            message = f"A recipe may have {wire.MAX_RECIPE_BYTES // 1024} KiB; put files into a"
            raise TooLarge(f"{message} bucket or a volume instead.", field="recipe")
        if refusal := self._images.refusal(recipe):
            raise RequestRefused(refusal, field="recipe")
        default = self._images.default_base.name
        base = await base_named(self._images, recipe.base or default, "recipe.base")
        image = recipe.digest(base.python)
        await self.check_room(account, request.name)
        await self._images.start(image, recipe, base.name)
        now = self._clock()

        def change(before: EnvironmentRecord | None) -> EnvironmentRecord:
            record = before or EnvironmentRecord(desc="", created_at=now, modified_at=now)
            if request.desc is not None:
                record = replace(record, desc=request.desc)
            version = wire.StoredVersion(
                number=record.next_number,
                image=image,
                base=base.name,
                python=base.python,
                made_at=now,
                recipe=recipe,
            )
            return with_pending(record, version)

        await self._change(account, request.name, change)
        return await self.get(account, request.name)

    async def get(self, account: str, path: str) -> wire.Environment:
        """Return what is known of an environment.

        Raises:
            EnvironmentNotFound: When there is no such environment; all methods below raise it, too.
        """
        record = await find(self._commits.view, account, path)
        owner, name = owner_and_name(account, path)
        record = await self.choice.settle(owner, name, record)
        return _shown(owner, name, record, await self._image(record))

    async def list(self, account: str, *, public: bool) -> wire.EnvironmentsListed:
        """Return the environments of an account, or the public ones of all accounts, by name."""
        prefix = EnvironmentRecord.prefix
        found = await self._commits.view.scan(prefix if public else environment_key(account))
        shown = []
        for key in sorted(found):
            if public and not found[key].public:
                continue
            owner, name = key.removeprefix(prefix).split("/")
            record = await self.choice.settle(owner, name, found[key])
            shown.append(_shown(owner, name, record, await self._image(record)))
        return wire.EnvironmentsListed(environments=shown)

    async def bases(self) -> wire.BasesListed:
        """Return what environments can be built on."""
        return wire.BasesListed(bases=[*await self._images.bases()])

    async def log(self, account: str, request: wire.EnvironmentLogRequest) -> wire.EnvironmentLog:
        """Return a part of the log of the latest build, once there is more of it."""
        until = asyncio.get_running_loop().time() + request.timeout_s
        pause_s = _FIRST_LOOK_S
        while True:
            # Read before the log: what is printed in between belongs to the reply.
            shown = await self.get(account, request.name)
            record = await find(self._commits.view, account, request.name)
            latest = record.latest
            data = await self._images.log(latest.image, request.offset) if latest else b""
            is_over = shown.status != "building" or asyncio.get_running_loop().time() >= until
            if data or is_over:
                return wire.EnvironmentLog(
                    text=data.decode(errors="replace"),
                    offset=request.offset + len(data),
                    status=shown.status,
                    problem=shown.problem,
                )
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _LOOK_EVERY_S)

    async def clone(self, account: str, request: wire.CloneEnvironmentRequest) -> wire.Environment:
        """Copy the current version of an environment; later changes of either do not matter.

        Raises:
            RequestConflict: When the name is taken, or the environment has no version yet.
        """
        owner, name = owner_and_name(account, request.parent)
        parent = await find(self._commits.view, account, request.parent)
        parent = await self.choice.settle(owner, name, parent)
        if parent.current is None:
            raise RequestConflict(unbuilt(request.parent, parent), field="parent")
        if owner != account:
            self.choice.refuse_for_others(name, parent.current, "parent")
        await self.check_room(account, request.name)
        now = self._clock()
        made = EnvironmentRecord(
            desc=parent.desc if request.desc is None else request.desc,
            created_at=now,
            modified_at=now,
            history=(replace(parent.current, number=1, made_at=now),),
        )

        def change(before: EnvironmentRecord | None) -> EnvironmentRecord:
            if before is not None:
                raise RequestConflict(taken(request.name), field="name")
            return made

        await self._change(account, request.name, change)
        return await self.get(account, request.name)

    async def edit(self, account: str, request: wire.EditEnvironmentRequest) -> wire.Environment:
        """Change the name or the description of an environment.

        Raises:
            RequestConflict: When the new name is taken, or unfinished jobs use the old one.
        """
        new_name = request.new_name or request.name
        old, new = (environment_key(account, each) for each in (request.name, new_name))
        await find(self._commits.view, account, request.name)
        if new != old:
            await self._check_unused(account, request.name)

        async def plan(draft: Draft) -> None:
            record: EnvironmentRecord | None = await draft.fresh(old)
            if record is None:
                return
            if new != old:
                if await draft.fresh(new) is not None:
                    raise RequestConflict(taken(new_name), field="new_name")
                draft.delete(old)
            if request.new_desc is not None:
                record = replace(record, desc=request.new_desc)
            draft.put(new, record)

        await self._commits.run(plan)
        return await self.get(account, new_name)

    async def roll_back(
        self, account: str, request: wire.RollBackEnvironmentRequest
    ) -> wire.Environment:
        """Make an earlier version the current one, as a new version.

        Raises:
            RequestRefused: When there is no such version.
            RequestConflict: When the environment is public, and others cannot use that version.
        """
        record = await find(self._commits.view, account, request.name)
        await self.choice.settle(account, request.name, record)
        now = self._clock()

        def change(before: EnvironmentRecord | None) -> EnvironmentRecord | None:
            if before is None:
                return None
            versions = {each.number: each for each in before.history}
            if request.number not in versions:
                known = ", ".join(map(str, versions)) or "none"
                message = f"{request.name!r} has no version {request.number}; there are: {known}."
                raise RequestRefused(message, field="number")
            wanted = versions[request.number]
            if before.public:
                self.choice.refuse_for_others(request.name, wanted, "number")
            if before.current is not None and before.current.image == wanted.image:
                return replace(before, pending=None)
            version = replace(wanted, number=before.next_number, made_at=now)
            return with_version(replace(before, modified_at=now), version)

        await self._change(account, request.name, change)
        return await self.get(account, request.name)

    async def publish(
        self, account: str, request: wire.PublishEnvironmentRequest
    ) -> wire.Environment:
        """Let other accounts use an environment, or only its owner.

        Raises:
            RequestConflict: When others cannot use it here.
        """
        await find(self._commits.view, account, request.name)

        def change(before: EnvironmentRecord | None) -> EnvironmentRecord | None:
            if before is not None and request.public:
                for version in (before.current, before.pending):
                    self.choice.refuse_for_others(request.name, version, "name")
            return replace(before, public=request.public) if before else None

        await self._change(account, request.name, change)
        return await self.get(account, request.name)

    async def delete(self, account: str, name: str) -> None:
        """Delete an environment; jobs of other accounts that run in it go on.

        Raises:
            RequestConflict: When jobs of the account that run in it have not ended; it names them.
        """
        await find(self._commits.view, account, name)
        await self._check_unused(account, name)
        key = environment_key(account, name)

        async def plan(draft: Draft) -> None:
            if await draft.fresh(key) is not None:
                draft.delete(key)

        await self._commits.run(plan)

    async def save(
        self, account: str, name: str, setup: SetupRecord, image: str
    ) -> wire.Environment:
        """Make an image the current version of an environment, as soon as it is ready.

        Args:
            account: Whose environment.
            name: Its name.
            setup: The setup machine that the image is a snapshot of.
            image: The image; if it is that of the current version, nothing changes.

        Raises:
            RequestConflict: When the environment is public, and others cannot use what is saved.
        """
        now = self._clock()

        def change(before: EnvironmentRecord | None) -> EnvironmentRecord | None:
            if before is None:
                return None
            version = wire.StoredVersion(
                number=before.next_number,
                image=image,
                base=setup.base,
                python=setup.python,
                made_at=now,
                recipe=wire.Recipe(base=setup.base),
                saved=True,
            )
            if before.public:
                self.choice.refuse_for_others(name, version, "name")
            return with_pending(before, version)

        await self._change(account, name, change)
        return await self.get(account, name)

    async def check_room(self, account: str, name: str) -> None:
        """Refuse a new environment of an account that has as many as it may.

        Raises:
            RequestConflict: When it has.
        """
        present = await self._commits.view.scan(environment_key(account))
        most = wire.MAX_ENVIRONMENTS_OF_ACCOUNT
        if environment_key(account, name) not in present and len(present) >= most:
            raise RequestConflict(f"An account has up to {most:,} environments; delete one first.")

    async def _image(self, record: EnvironmentRecord) -> Image:
        latest = record.latest
        return await self._images.find(latest.image) if latest else Image(state=ImageState.ABSENT)

    async def _check_unused(self, account: str, name: str) -> None:
        record = await find(self._commits.view, account, name)
        if record.setup is not None:
            message = f"The environment {name!r} has a setup machine; picloud env shutdown {name}"
            raise RequestConflict(f"{message} ends it.", field="name")

        def uses(header: Header) -> bool:
            return owner_and_name(account, header.options.env or "") == (account, name)

        await refuse_in_use(self._commits.view, account, f"The environment {name!r}", uses)

    async def _change(
        self,
        account: str,
        name: str,
        change: Callable[[EnvironmentRecord | None], EnvironmentRecord | None],
    ) -> None:
        key = environment_key(account, name)

        async def plan(draft: Draft) -> None:
            before: EnvironmentRecord | None = await draft.fresh(key)
            after = change(before)
            if after is not None and after != before:
                draft.put(key, after)

        await self._commits.run(plan)


def _shown(owner: str, name: str, record: EnvironmentRecord, image: Image) -> wire.Environment:
    status: wire.EnvironmentStatus = "ready" if record.pending is None else "building"
    if record.latest is None:
        status = "new"
    elif image.state in (ImageState.FAILED, ImageState.ABSENT):
        status = "failed"
    return wire.Environment(
        name=name,
        path=f"/{owner}/{name}",
        status=status,
        problem=image.problem or (_GONE if status == "failed" else ""),
        desc=record.desc,
        public=record.public,
        created_at=record.created_at,
        modified_at=record.modified_at,
        versions=[*record.history],
        packages=image.packages,
        apt=image.apt,
        size=image.size,
        has_setup=record.setup is not None,
    )
