"""A change that a server needs, and what forbids to make any."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from picloud_driver.stack.faults import StackFault

if TYPE_CHECKING:
    from picloud_driver.stack.servers.program import Program

MANAGED_BY = "PiCloud, cluster "
"""How descriptions of what bootstrap makes begin; the id of the cluster follows."""


class Change(msgspec.Struct, frozen=True):
    """Something that a server lacks, and a function that makes it; it may be called again."""

    text: str
    make: Callable[[], object]


class Found(msgspec.Struct, frozen=True):
    """What a server holds already.

    `owner` is the description of what bootstrap has made there, None if there is nothing; `data`
    names something else that is stored where PiCloud stores, "" if there is nothing.
    """

    owner: str | None
    data: str = ""


def require_own(where: str, found: Found, mark: str, *, adopt: bool) -> None:
    """Return if a server is empty, or belongs to this cluster.

    Args:
        where: The server, for the message.
        found: What it holds.
        mark: The description of what belongs to this cluster.
        adopt: Whether to take over what is there.

    Raises:
        StackFault: When it belongs to another one.

    >>> require_own("Consul", Found(None), "PiCloud, cluster 1", adopt=False)
    """
    if adopt or found.owner == mark or (found.owner is None and not found.data):
        return
    held = found.data or "what bootstrap has made"
    raise StackFault(
        f"{where} belongs to another cluster or program: it holds {held}. Name the directory of "
        "its keys with --keys, or another server; --adopt takes it over."
    )


def require_version(where: str, program: Program, version: str) -> None:
    """Return if a server has a version that the platform works with.

    Raises:
        StackFault: When it is older; names both versions.
    """
    if program.accepts(version):
        return
    raise StackFault(f"{where} is version {version or 'unknown'}, but {program.wanted} is wanted.")
