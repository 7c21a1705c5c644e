"""Keys that encrypt the gossip of Consul and of Nomad, and how they are replaced."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Final, Protocol

from picloud_driver.stack.bootstrap.change import Replacement
from picloud_driver.stack.faults import StackFault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from picloud_driver.stack.bootstrap.keys import KeyFile

_BYTES: Final = 32


class Keyring(Protocol):
    """The gossip keys of a server, as its administrator sees them."""

    def use_gossip_key(self, key: str) -> None:
        """Accept a key, and encrypt with it from now on."""

    def gossip_keys(self) -> Sequence[str]:
        """Return the keys that are accepted."""

    def remove_gossip_key(self, key: str) -> None:
        """Accept a key no longer."""


def new_gossip_key() -> str:
    """Return a new key, as the servers' configuration has it.

    >>> len(base64.b64decode(new_gossip_key()))
    32
    """
    return base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def remove_others(keyring: Keyring, kept: str, where: str) -> int:
    """Remove every gossip key but one; return how many.

    Args:
        keyring: The keys of the server.
        kept: The key in use.
        where: The server, for the message.

    Raises:
        StackFault: When the key to keep is not one of them: nothing is removed.
        Unavailable: When the server does not answer.
    """
    found = keyring.gossip_keys()
    if kept not in found:
        raise StackFault(
            f"{where} does not have the gossip key of this directory: run picloud admin rotate "
            "--gossip first, which makes one."
        )
    others = [key for key in found if key != kept]
    for key in others:
        keyring.remove_gossip_key(key)
    return len(others)


def replacement(
    opened: Callable[[], AbstractContextManager[Keyring]], keys: KeyFile, name: str, where: str
) -> Replacement:
    """Return how the gossip key of a server is replaced.

    Args:
        opened: Opens an administrator of the server.
        keys: The keys of the cluster.
        name: The name of the gossip key among them.
        where: The server, for messages.
    """

    def make() -> None:
        # It is stored first: a key that is in use and not known could not be given to a machine.
        key = new_gossip_key()
        keys.store(**{name: key})
        with opened() as keyring:
            keyring.use_gossip_key(key)

    def revoke() -> int:
        kept: str = getattr(keys.now, name)
        with opened() as keyring:
            return remove_others(keyring, kept, where)

    return Replacement(make, revoke)
