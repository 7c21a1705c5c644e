"""Pools: which slots may run the jobs of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_driver.scheduler import Pool
from picloud_model.core import CORE_TYPES
from picloud_model.errors import RequestRefused

if TYPE_CHECKING:
    from picloud_model.core import CoreType
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


def existing_core(core_type: str, field: str) -> CoreType:
    """Return a core type.

    Raises:
        RequestRefused: When there is none of that name; it lists those that there are.
    """
    core = CORE_TYPES.get(core_type)
    if core is None:
        names = ", ".join(CORE_TYPES)
        message = f"There is no core type {core_type[:40]!r}; there are {names}."
        raise RequestRefused(message, field=field)
    return core


def check_core_type(core_type: str, cores: int) -> None:
    """Refuse a core type that does not exist, or a number of cores that no job on it may have.

    Raises:
        RequestRefused: Names what is allowed.
    """
    core = existing_core(core_type, "options.core_type")
    if cores not in core.multiples:
        message = f"A job on {core.name} may have {core.allowed}, not {cores}."
        raise RequestRefused(message, field="options.cores")
