"""Pools: which slots may run the jobs of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_driver.scheduler import Pool

if TYPE_CHECKING:
    from picloud_model.wire import Options


def pool_of(account: str, options: Options, image: str = "") -> Pool:
    """Return the pool whose slots may run an account's jobs with these options.

    Args:
        account: Whose jobs.
        options: Their options.
        image: The digest of their environment's image; "" for the base.

    >>> from picloud_model.wire import Options
    >>> pool_of("a0000001", Options(core_type="f2", cores=4)).cores
    4
    """
    return Pool(account, options.core_type, options.cores, image)
