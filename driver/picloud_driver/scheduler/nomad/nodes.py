"""The machines of a Nomad cluster that accept slots, and how many each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_jobspecs.render import memory_mb, mhz, overhead_mb
from picloud_model.core import CORE_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from picloud_driver.nomad.answers import Node, Resources
    from picloud_driver.nomad.gateway import NomadGateway

CORE_TYPES_KEY: Final = "picloud_core_types"
"""In a node's meta: the core types it offers, as in `c1, c2`; without it, it accepts no slots."""
SLOTS_KEY: Final = "picloud_slots"
"""In a node's meta: how many slots of one core it runs at once; by default one per processor."""
CACHE_S: Final = 5.0
"""How long a list of the machines is used."""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """The resources that a machine offers to slots; each slot needs `overhead_mb` for itself."""

    core_types: frozenset[str]
    slots: int
    mhz: int
    memory_mb: int
    overhead_mb: int = 0

    def capacity(self, core_type: str, cores: int = 1) -> int:
        """Return how many slots of a size it can run when it is idle.

        >>> offer = Offer(core_types=frozenset({"c2"}), slots=2, mhz=5000, memory_mb=4000)
        >>> offer.capacity("c1"), [offer.capacity("c2", cores) for cores in (1, 4, 8)]
        (0, [5, 1, 0])
        """
        if core_type not in self.core_types:
            return 0
        by_memory = self.memory_mb // (memory_mb(core_type, cores) + self.overhead_mb)
        return min(self.mhz // mhz(core_type, cores), by_memory)


class Nodes:
    """The machines of a cluster; blocks, and threads may share it.

    Args:
        gateway: The gateway to Nomad.
        driver: The driver that a machine needs.
        clock: A monotonic clock.
    """

    def __init__(
        self, gateway: NomadGateway, driver: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._gateway = gateway
        self._driver = driver
        self._clock = clock
        self._metas: dict[str, tuple[int, Mapping[str, str]]] = {}
        self._offers: list[Offer] = []
        self._listed_at = float("-inf")

    def offers(self, *, fresh: bool = False) -> list[Offer]:
        """Return the offers of all machines that are ready for slots.

        Args:
            fresh: Whether a list that is some seconds old is not accepted.
        """
        if fresh or self._clock() - self._listed_at > CACHE_S:
            ready = [node for node in self._gateway.nodes() if self._takes_slots(node)]
            self._metas = {node.id: (node.modify_index, self._meta(node)) for node in ready}
            self._offers = [
                self._offer(node.node_resources, node.reserved_resources, self._metas[node.id][1])
                for node in ready
                if node.node_resources
            ]
            self._listed_at = self._clock()
        return self._offers

    def capacity(self, core_type: str) -> int:
        """Return how many slots of one core the machines run at once, as far as they fit."""
        return sum(min(offer.slots, offer.capacity(core_type)) for offer in self.offers())

    def _takes_slots(self, node: Node) -> bool:
        driver = (node.drivers or {}).get(self._driver)
        usable = node.status == "ready" and node.scheduling_eligibility == "eligible"
        return usable and driver is not None and driver.healthy

    def _meta(self, node: Node) -> Mapping[str, str]:
        # Lists omit it, so each machine takes a request after each change.
        index, meta = self._metas.get(node.id, (-1, {}))
        return meta if index == node.modify_index else self._gateway.node_meta(node.id)

    def _offer(self, has: Resources, reserved: Resources | None, meta: Mapping[str, str]) -> Offer:
        named = {name.strip() for name in meta.get(CORE_TYPES_KEY, "").split(",")}
        slots = meta.get(SLOTS_KEY, "")
        return Offer(
            core_types=frozenset(named & CORE_TYPES.keys()),
            slots=int(slots) if slots.isascii() and slots.isdigit() else has.cpu.total_cpu_cores,
            mhz=has.cpu.cpu_shares - (reserved.cpu.cpu_shares if reserved else 0),
            memory_mb=has.memory.memory_mb - (reserved.memory.memory_mb if reserved else 0),
            overhead_mb=overhead_mb(self._driver),
        )
