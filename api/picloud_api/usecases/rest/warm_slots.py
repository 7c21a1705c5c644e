"""Warm slots: which slots are kept running for the endpoints of all accounts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from picloud_model.errors import PiCloudError

from picloud_api.engine.scheduling.pool import pool_of
from picloud_api.store.rest_record import EndpointRecord, WarmRecord, endpoint_key, warm_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from picloud_driver.scheduler import Pool

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft


class WarmPools:
    """Finds the pools of endpoints that have warm slots.

    Args:
        context: The store.
        image_of: Returns the image of an account's environment for a version of Python.
    """

    def __init__(
        self, context: Context, image_of: Callable[[str, str | None, str], Awaitable[str]]
    ) -> None:
        self._view = context.commits.view
        self._image_of = image_of

    async def counts(self) -> Counter[Pool]:
        """Return how many slots of each pool are kept; endpoints of one pool add up."""
        counts: Counter[Pool] = Counter()
        for key, record in (await self._view.scan(WarmRecord.prefix)).items():
            account, label = WarmRecord.parse(key).split("/")
            endpoint: EndpointRecord | None = await self._view.fresh(endpoint_key(account, label))
            if endpoint is None:
                continue
            job = endpoint.job
            try:
                image = await self._image_of(account, job.options.env, job.envelope.python)
            except PiCloudError:
                # Its environment was removed: calls say so, and other endpoints keep their slots.
                continue
            counts[pool_of(account, job.options, image)] += record.count
        return counts


async def put_warm(draft: Draft, account: str, label: str, count: int) -> None:
    """Store how many slots are kept running for an endpoint; 0 if it is removed or has none."""
    key = warm_key(account, label)
    if count:
        draft.put(key, WarmRecord(count))
    elif await draft.fresh(key) is not None:
        draft.delete(key)
