"""The blob sweeper: deletes blobs and images that nothing refers to, and abandoned uploads.

Only the leader sweeps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from picloud_model.errors import PiCloudError

from picloud_api.store.records import Account

if TYPE_CHECKING:
    from picloud_driver.bucket import BucketPort

    from picloud_api.background.leader import Leadership
    from picloud_api.engine.process.context import Context
    from picloud_api.usecases.environments.image_sweep import ImageSweep
    from picloud_api.usecases.storage.blob_sweep import BlobSweep

_HOUR_S: Final = 3600.0

_log = structlog.get_logger()


class BlobSweeper:
    """Sweeps all accounts.

    Args:
        context: The store and the clock.
        leader: Says whether this process leads.
        sweep: Sweeps the blobs of an account.
        buckets: Where objects and their uploads are.
        images: Sweeps the images of environments.
        hours: The time after which what nothing refers to is deleted; 0: never.
    """

    def __init__(
        self,
        context: Context,
        leader: Leadership,
        sweep: BlobSweep,
        buckets: BucketPort,
        images: ImageSweep,
        *,
        hours: float,
    ) -> None:
        self._view = context.commits.view
        self._clock = context.clock
        self._leader = leader
        self._sweep = sweep
        self._buckets = buckets
        self._images = images
        self.hours = hours

    async def sweep_if_leader(self) -> None:
        """Sweep, unless another process leads."""
        if self._leader.is_leader:
            await self.sweep()

    async def sweep(self) -> None:
        """Delete what nothing has referred to for so many hours; an account may fail alone."""
        for key in await self._view.scan(Account.prefix):
            account = Account.parse(key)
            try:
                count = await self._sweep.sweep(
                    account, self.hours * _HOUR_S, lambda: self._leader.is_leader
                )
            except PiCloudError as error:
                _log.warning("blobs.not_swept", account=account, reason=error.message)
                continue
            if count:
                _log.info("blobs.swept", account=account, blobs=count)
        before = self._clock() - self.hours * _HOUR_S
        if count := await self._buckets.abort_old_uploads(before):
            _log.info("uploads.swept", uploads=count)
        if count := await self._images.sweep(self.hours * _HOUR_S):
            _log.info("images.swept", images=count)
