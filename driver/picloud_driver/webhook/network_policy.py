"""Which addresses webhooks may be sent to: public ones, and those that the operator allows."""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

IPAddress: TypeAlias = IPv4Address | IPv6Address
IPNetwork: TypeAlias = IPv4Network | IPv6Network

_TRANSLATED: Final = (ip_network("64:ff9b::/96"), ip_network("::/96"))
"""Addresses of IPv6 whose last four bytes are one of IPv4: of NAT64, and compatible ones."""


class NetworkPolicy:
    """Decides which addresses may be dialled.

    Args:
        allowed: Networks that may be dialled although they are not public.

    >>> policy = NetworkPolicy([ip_network("10.1.0.0/16")])
    >>> [policy.allows(each) for each in ("1.1.1.1", "10.1.2.3", "127.0.0.1", "::ffff:10.2.0.1")]
    [True, True, False, False]
    """

    def __init__(self, allowed: Sequence[IPNetwork] = ()) -> None:
        self._allowed = tuple(allowed)

    def allows(self, text: str) -> bool:
        """Whether an address may be dialled."""
        address = ip_address(text.partition("%")[0])
        return any(address in network for network in self._allowed) or all(
            map(self._is_public, _meant(address))
        )

    @staticmethod
    def _is_public(address: IPAddress) -> bool:
        is_local = isinstance(address, IPv6Address) and address.is_site_local
        return address.is_global and not (address.is_multicast or address.is_reserved or is_local)


def _meant(address: IPAddress) -> list[IPAddress]:
    """Return an address, and those of IPv4 that it stands for."""
    meant: list[IPAddress] = [address]
    if isinstance(address, IPv6Address):
        teredo = address.teredo or ()
        meant += [each for each in (address.ipv4_mapped, address.sixtofour, *teredo) if each]
        if address.ipv4_mapped:
            meant.remove(address)
        if any(address in network for network in _TRANSLATED):
            meant.append(IPv4Address(address.packed[-4:]))
    return meant
