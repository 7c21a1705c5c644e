"""A change that a server needs, and what forbids to make any."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from picloud_driver.stack.faults import StackFault

if TYPE_CHECKING:
    from pathlib import Path

    from picloud_driver.stack.servers.program import Program

MANAGED_BY = "PiCloud, cluster "
"""How descriptions of what bootstrap makes begin; the id of the cluster follows."""


class Change(msgspec.Struct, frozen=True):
    """Something that a server lacks, and a function that makes it; it may be called again."""

    text: str
    make: Callable[[], object]


class Replacement(msgspec.Struct, frozen=True):
    """How a token or key of a server is replaced.

    `make` makes another one, and stores it; `revoke` ends all others, and returns how many.
    """

    make: Callable[[], None]
    revoke: Callable[[], int]


class AccessSteps(msgspec.Struct, frozen=True):
    """What gives the API its access to a server with ACLs, in order."""

    first_token: Change
    policy: Change
    token: Change

    def all(self) -> list[Change]:
        """Return every step, for a server without a management token."""
        return [self.first_token, self.policy, self.token]

    def missing(self, *, has_policy: bool, has_token: bool) -> list[Change]:
        """Return the steps for a server that has its management token."""
        return [*([] if has_policy else [self.policy]), *([] if has_token else [self.token])]


class Found(msgspec.Struct, frozen=True):
    """What a server holds already.

    `owner` is the description of what bootstrap has made there, None if there is nothing; `data`
    names something else that is stored where PiCloud stores, "" if there is nothing.
    """

    owner: str | None
    data: str = ""


def access_steps(
    keys: Path,
    policy: str,
    *,
    make_first_token: Callable[[], object],
    set_policy: Callable[[], object],
    make_token: Callable[[], object],
) -> AccessSteps:
    """Return the steps of a server, described alike for each.

    Args:
        keys: The file that keeps the first token.
        policy: The name of the policy.
        make_first_token: Makes the management token.
        set_policy: Sets the policy.
        make_token: Makes the token of the API.
    """
    return AccessSteps(
        Change(f"a management token, its first, kept in {keys}", make_first_token),
        Change(f"the policy {policy}, which allows the API its work only", set_policy),
        Change("a token of the API, with this policy", make_token),
    )


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
