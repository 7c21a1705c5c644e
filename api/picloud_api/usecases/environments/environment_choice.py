"""The choice of an environment: which image the jobs of a submit run in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace
from picloud_driver.image import ImageState
from picloud_model.errors import (
    EnvironmentNotFound,
    JobNotFound,
    RequestConflict,
    RequestRefused,
    Unavailable,
)
from picloud_model.wire.environment import MAX_RECIPE_BYTES, MAX_VERSIONS, OWN_BASES, Recipe
from picloud_model.wire.job import OLD_BASES
from picloud_model.wire.setup_machine import SETUP

from picloud_api.engine.jobs.locate import locate
from picloud_api.store import layout
from picloud_api.usecases.environments.environment_record import (
    EnvironmentRecord,
    environment_key,
    find,
    no_machine,
    owner_and_name,
)

if TYPE_CHECKING:
    from picloud_driver.image import Image, ImagePort
    from picloud_model.wire import SubmitRequest
    from picloud_model.wire.environment import EnvironmentBase, StoredVersion

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.store.records import Header
    from picloud_api.usecases.environments.image_fetch import ImageFetch

_BASE_S: Final = 25.0
"""How long a submit waits for a base that was never used before; its client then repeats it."""
_LOOK_EVERY_S: Final = 0.05


class EnvironmentChoice:
    """Finds the image of an environment, as of now.

    Args:
        context: Where environments are recorded.
        images: What they consist of.
        fetch: Brings them to machines.
    """

    def __init__(self, context: Context, images: ImagePort, fetch: ImageFetch) -> None:
        self._commits = context.commits
        self._images = images
        self._fetch = fetch

    async def image_of(self, account: str, name: str | None, python: str) -> str:
        """Return the image that jobs submitted now run in; "" for the base.

        Args:
            account: Whose jobs.
            name: The environment in their options, or None.
            python: The minor version of the Python that they come from.

        Raises:
            RequestRefused: When there is no such environment, it has no version yet, or it has
                another Python.
            Unavailable: When a base is still being made ready.
        """
        if name is None or name in OLD_BASES:
            return await self._image_of_python(python)
        if name.startswith(OWN_BASES):
            return await self._image_of_base(name, python)
        if name.startswith(SETUP):
            return await self._image_of_machine(account, name.removeprefix(SETUP), python)
        record = await self._find(account, name)
        owner, own_name = owner_and_name(account, name)
        record = await self.settle(owner, own_name, record)
        if record.current is None:
            raise RequestConflict(unbuilt(name, record), field="options.env")
        if owner != account:
            self.refuse_for_others(own_name, record.current, "options.env")
        await self._check_python(name, record.current.python, python)
        return record.current.image

    async def inherit(self, account: str, request: SubmitRequest, parent: int) -> SubmitRequest:
        """Return what a job submits: in its own environment, unless the request names one.

        Args:
            account: Whose jobs.
            request: The batch.
            parent: The job that submits it.
        """
        if request.options.env is not None:
            return request
        try:
            (piece,) = await locate(self._commits.view, account, [(parent, parent)])
        except JobNotFound:
            return request
        name = layout.header(account, piece.page_id.batch)
        header: Header | None = await self._commits.view.get(name)
        if header is None or header.options.env is None:
            return request
        return replace(request, options=replace(request.options, env=header.options.env))

    def refuse_for_others(self, name: str, version: StoredVersion | None, field: str) -> None:
        """Refuse a version for accounts that do not own it, if its owner may have changed anything.

        In a container the supervisor of a slot is a program of the image, with the token of the
        account that runs jobs there. No recipe reaches it, but root in a setup machine does.

        Args:
            name: The environment, as its owner calls it.
            version: What others would use, or None.
            field: The part of the request that the error names.

        Raises:
            RequestConflict: When it was saved from a setup machine that is a container.
        """
        if version is not None and version.saved and not self._images.machines_are_jobs:
            message = f"What root has changed by hand in {name!r} is for its own account only"
            advice = f"build one for others from a recipe: picloud env recipe {name} prints it"
            raise RequestConflict(f"{message}; {advice}.", field=field)

    async def settle(self, owner: str, name: str, record: EnvironmentRecord) -> EnvironmentRecord:
        """Return the record of an environment once a build that has ended is its current version.

        So a version becomes current when a request asks for it, and no process has to watch builds.
        """
        pending = record.pending
        if pending is None:
            return record
        found = await self._images.find(pending.image)
        if found.state is not ImageState.READY:
            return record
        key = environment_key(owner, name)
        version = pending
        if pending.saved:
            recipe = _recipe_of(pending.base, found)
            version = replace(pending, recipe=recipe)

        async def plan(draft: Draft) -> EnvironmentRecord:
            before: EnvironmentRecord | None = await draft.fresh(key)
            if before is None or before.pending != pending:
                return before or record
            after = with_version(replace(before, pending=None), version)
            draft.put(key, after)
            return after

        settled = await self._commits.run(plan)
        if record.current is not None and settled.current == version:
            self._fetch.begin(version.image, record.current.image)
        return settled

    async def _find(self, account: str, name: str) -> EnvironmentRecord:
        try:
            return await find(self._commits.view, account, name)
        except EnvironmentNotFound as error:
            raise RequestRefused(error.message, field="options.env") from None

    async def _image_of_python(self, python: str) -> str:
        """Return the image of jobs that name no environment: of the base with their own Python.

        If there is none, they go to the default base, whose refusal names both versions.
        """
        if python == self._images.default_base.python:
            return ""
        names = [each.name for each in await self._images.bases() if each.python == python]
        return await self._image_of_base(names[0], python) if names else ""

    async def _image_of_base(self, name: str, python: str) -> str:
        base = await base_named(self._images, name, "options.env")
        await self._check_python(name, base.python, python)
        return "" if base == self._images.default_base else await self.ready_base(base)

    async def _image_of_machine(self, account: str, name: str, python: str) -> str:
        record = await self._find(account, name)
        if record.setup is None:
            raise RequestConflict(no_machine(name), field="options.env")
        if not self._images.machines_are_jobs:
            message = f"No job runs in the setup machine of {name!r}; picloud env save {name} makes"
            raise RequestConflict(f"{message} it an environment for jobs.", field="options.env")
        await self._check_python(name, record.setup.python, python)
        return record.setup.image

    async def _check_python(self, name: str, has: str, wanted: str) -> None:
        """Refuse jobs that come from another Python than an environment has.

        Raises:
            RequestRefused: It names the base with that Python, or those there are.
        """
        if has == wanted:
            return
        bases = await self._images.bases()
        fitting = [each.name for each in bases if each.python == wanted]
        kind, advice = "environment", "build the environment on it"
        if name.startswith(OWN_BASES):
            kind, advice = "base", "name that one"
        if not fitting:
            there = ", ".join(f"{each.name} (Python {each.python})" for each in bases)
            advice = f"no base of this server has that version; there are {there}"
        else:
            advice = f"{fitting[0]} has that version: {advice}"
        message = f"The {kind} {name!r} has Python {has}, but the jobs come from Python {wanted};"
        raise RequestRefused(f"{message} {advice}.", field="options.env")

    async def ready_base(self, base: EnvironmentBase, field: str = "options.env") -> str:
        """Return the image of a base once it is ready.

        Raises:
            RequestConflict: When it cannot be made; the error names the field.
            Unavailable: When it is still being made.
        """
        name = base.name
        recipe = Recipe(base=name)
        image = recipe.digest(base.python)
        await self._images.start(image, recipe, name)
        until = asyncio.get_running_loop().time() + _BASE_S
        while (found := await self._images.find(image)).state is ImageState.BUILDING:
            if asyncio.get_running_loop().time() > until:
                raise Unavailable(f"The base {name!r} is being made ready; try again.")
            await asyncio.sleep(_LOOK_EVERY_S)
        if found.state is not ImageState.READY:
            message = f"The base {name!r} cannot be used: {found.problem}"
            raise RequestConflict(message, field=field)
        return image


async def base_named(images: ImagePort, name: str, field: str) -> EnvironmentBase:
    """Return a base; the default one costs no search for the others.

    Where bases have other names, `base/python3.11` stands for the first with that Python.

    Raises:
        RequestRefused: When there is no such base; it names those there are, and the field.
    """
    default = images.default_base
    if name == default.name or name in OLD_BASES:
        return default
    found = await images.bases()
    by_python = {f"{OWN_BASES}python{each.python}": each for each in reversed(found)}
    bases = {each.name: each for each in found}
    if name in by_python and name not in bases:
        return by_python[name]
    if name not in bases:
        message = f"There is no base {name[:100]!r} on this server; there are {', '.join(bases)}."
        raise RequestRefused(message, field=field)
    return bases[name]


def with_pending(record: EnvironmentRecord, version: StoredVersion) -> EnvironmentRecord:
    """Return an environment that gets a version once its image is ready.

    If that is the image of the current version, this one remains, and nothing else is pending.
    """
    if record.current is not None and record.current.image == version.image:
        return replace(record, pending=None)
    return replace(record, pending=version, modified_at=version.made_at)


def with_version(record: EnvironmentRecord, version: StoredVersion) -> EnvironmentRecord:
    """Return a record with one more version, which is the current one."""
    return replace(record, history=(*record.history, version)[-MAX_VERSIONS:])


def unbuilt(name: str, record: EnvironmentRecord) -> str:
    """Return the message about an environment that has no version yet."""
    if record.pending is None:
        return f"The environment {name!r} has not been saved yet; picloud env save {name} saves it."
    return f"The environment {name!r} has not been built yet; picloud env log {name} shows why."


def _recipe_of(base: str, image: Image) -> Recipe:
    """Return a recipe with the packages of a saved environment; without those from files.

    Debian's are named without their versions, of which its mirrors keep the latest only.
    """
    fitting = [each for each in image.packages if "==" in each or " @ https://" in each]
    debian = [each.partition("=")[0] for each in image.apt]
    try:
        # A program of the machine has listed them, which its user may have changed.
        recipe = msgspec.convert({"base": base, "pip": fitting, "apt": debian}, Recipe)
    except msgspec.ValidationError:
        return Recipe(base=base)
    return recipe if len(msgspec.json.encode(recipe)) <= MAX_RECIPE_BYTES else Recipe(base=base)
