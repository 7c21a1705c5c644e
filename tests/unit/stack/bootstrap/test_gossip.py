"""Gossip keys: which are removed when they were replaced."""

from __future__ import annotations

import pytest
from picloud_driver.stack.bootstrap.gossip import new_gossip_key, remove_others
from picloud_driver.stack.faults import StackFault


class Ring:
    """The keys of a server."""

    def __init__(self, *keys: str) -> None:
        self.keys = list(keys)

    def gossip_keys(self) -> list[str]:
        """Return them."""
        return list(self.keys)

    def remove_gossip_key(self, key: str) -> None:
        """Remove one."""
        self.keys.remove(key)


def test_only_the_newest_key_stays() -> None:
    """Those of interrupted replacements go with the old one; a repeat removes nothing."""
    old, interrupted, new = (new_gossip_key() for _ in range(3))
    ring = Ring(old, interrupted, new)

    assert remove_others(ring, new, "Consul") == 2
    assert remove_others(ring, new, "Consul") == 0
    assert ring.keys == [new]


@pytest.mark.parametrize("kept", ["", "unknown"])
def test_nothing_is_removed_where_the_newest_key_is_not_known(kept: str) -> None:
    """Another directory, or one in which no key was made yet; the message says what to do."""
    ring = Ring("old")

    with pytest.raises(StackFault, match=r"Nomad does not have the gossip key .* --gossip first"):
        remove_others(ring, kept, "Nomad")
    assert ring.keys == ["old"]
