"""Keys that encrypt the gossip of Consul and of Nomad, and how they are replaced."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Final, Protocol

from picloud_driver.stack.faults import StackFault

if TYPE_CHECKING:
    from collections.abc import Sequence

_BYTES: Final = 32


class Keyring(Protocol):
    """The gossip keys of a server, as its administrator sees them."""

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
