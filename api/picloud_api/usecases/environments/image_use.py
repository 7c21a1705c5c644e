"""The use of images: which ones environments and jobs need, and whose slots may run in one."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from picloud_model.errors import RequestRefused
from picloud_model.wire.environment import Recipe

from picloud_api.store.records import Ready, Slot
from picloud_api.usecases.environments.environment_record import EnvironmentRecord

if TYPE_CHECKING:
    from picloud_driver.image import ImagePort
    from picloud_driver.scheduler import Pool

    from picloud_api.engine.process.context import Context


class ImageUse:
    """Finds what uses an image.

    Args:
        context: The store.
        images: The bases, which jobs may need at any time.
    """

    def __init__(self, context: Context, images: ImagePort) -> None:
        self._view = context.commits.view
        self._images = images

    async def used(self) -> set[str]:
        """Return the images that an environment, an unfinished job or a slot needs."""
        records = (await self._view.scan(EnvironmentRecord.prefix)).values()
        used = {
            version.image
            for record in records
            for version in (*record.history, record.pending)
            if version is not None
        }
        used |= {each for record in records if record.setup for each in record.setup.images}
        pools = [await self._view.scan(prefix) for prefix in (Ready.prefix, Slot.prefix)]
        used |= {each.pool.image for each in chain(*(found.values() for found in pools))}
        # Jobs that name no environment need them.
        return used | {Recipe().digest(base.python) for base in await self._images.bases()}

    async def check(self, pool: Pool) -> None:
        """Refuse slots in an image that root has changed by hand for another account.

        A submit checks that by the name of the environment; this is the check of the digest, when
        slots are requested. What was built from a recipe may run for any account: an environment
        that is no longer public goes on for the jobs that were submitted before.

        Raises:
            RequestRefused: When the account of the pool may not use the image.
        """
        if not pool.image or self._images.machines_are_jobs:
            return
        records: dict[str, EnvironmentRecord] = await self._view.scan(EnvironmentRecord.prefix)
        having = [
            (key.removeprefix(EnvironmentRecord.prefix).partition("/")[0], version)
            for key, record in records.items()
            for version in record.history
            if version.image == pool.image
        ]
        # One that was saved without a change is the image of a base or a recipe.
        if all(version.saved and account != pool.account for account, version in having):
            bases = {Recipe().digest(base.python) for base in await self._images.bases()}
            if having and pool.image not in bases:
                message = "The image of these jobs was changed by hand for another account; submit"
                raise RequestRefused(f"{message} them in another environment.", field="image")
