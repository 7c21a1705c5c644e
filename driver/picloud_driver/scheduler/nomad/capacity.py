"""Whether Nomad can place slots, and its reason if it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from picloud_jobspecs.render import BURST_PREFIX, memory_mb, mhz, overhead_mb
from picloud_model.errors import SlotRefused

from picloud_driver.scheduler.nomad.ended_allocations import failure_of
from picloud_driver.scheduler.nomad.nodes import CORE_TYPES_KEY
from picloud_driver.scheduler.port import Pool

if TYPE_CHECKING:
    from picloud_driver.nomad.answers import NomadJob, Shortage
    from picloud_driver.nomad.gateway import NomadGateway
    from picloud_driver.scheduler.nomad.nodes import Nodes


class ClusterCapacity:
    """Whether a cluster has capacity for a pool's slots; blocks, and threads may share it.

    Args:
        gateway: The gateway to Nomad.
        nodes: Its machines.
        driver: The driver that a machine needs.
    """

    def __init__(self, gateway: NomadGateway, nodes: Nodes, driver: str) -> None:
        self._gateway = gateway
        self._nodes = nodes
        self._driver = driver

    def refusal(self, pool: Pool) -> str:
        """Return why no machine could ever run a slot of a pool, or ""."""
        offers = self._nodes.offers()
        if any(offer.capacity(pool.core_type, pool.cores) for offer in offers):
            return ""
        offers = self._nodes.offers(fresh=True)
        if any(offer.capacity(pool.core_type, pool.cores) for offer in offers):
            return ""
        offered = sorted(frozenset().union(*(offer.core_types for offer in offers)))
        if not offered:
            return nothing_offered(self._driver)
        if pool.core_type not in offered:
            names = ", ".join(offered)
            return f"No machine offers core type {pool.core_type!r}; machines offer {names}."
        return (
            f"No machine that offers core type {pool.core_type!r} has the"
            f" {mhz(pool.core_type, pool.cores)} MHz and"
            f" {memory_mb(pool.core_type, pool.cores) + overhead_mb(self._driver)} MB"
            f" that {pool.cores} cores take."
        )

    def pending_reason(self, pool: Pool) -> str:
        """Return why slots of a pool do not start now, or ""."""
        refusal = self.refusal(pool)
        if refusal:
            return refusal
        bursts = [job for job in self._gateway.jobs(BURST_PREFIX) if _is_of(job, pool)]
        for job in filter(unplaced, bursts):
            shortage = self._gateway.shortage(job.id)
            if shortage is not None:
                return describe_shortage(shortage, pool)
        latest = max(bursts, key=lambda job: job.create_index, default=None)
        return self._failure(latest) if latest is not None else ""

    def _failure(self, burst: NomadJob) -> str:
        """Return why no slot of a burst was started, or ""."""
        found, _ = self._gateway.allocations_of(burst.id)
        failures = [failure_of(each) for each in found]
        if not all(failures):
            return ""
        return next((f"Slots do not start: {why}" for why in failures), "")


def describe_shortage(shortage: Shortage, pool: Pool) -> str:
    """Describe in a sentence why Nomad found no machine."""
    wanted = f"a slot of {pool.cores} x {pool.core_type}"
    reasons = [
        f"{count} ruled out by the constraint {constraint!r}"
        for constraint, count in sorted((shortage.constraint_filtered or {}).items())
    ]
    reasons += [
        f"{count} without enough {resource}"
        for resource, count in sorted((shortage.dimension_exhausted or {}).items())
    ]
    if not reasons:
        return f"Nomad has no machine for {wanted} now: none takes new slots."
    machines = shortage.nodes_evaluated
    return f"Nomad has no room for {wanted} now: of {machines} machines {', '.join(reasons)}."


def pool_of(job: NomadJob | None) -> Pool:
    """Return the pool of a burst, from the meta values of its job.

    Raises:
        SlotRefused: When the job is not a burst.
    """
    try:
        return msgspec.convert((job.meta if job else None) or {}, Pool, strict=False)
    except msgspec.ValidationError:
        raise SlotRefused from None


def unplaced(job: NomadJob) -> int:
    """Return how many slots of a burst have no allocation yet."""
    if job.stop or job.job_summary is None:
        return 0
    counts = job.job_summary.summary.values()
    queued = sum(count.get("Queued", 0) for count in counts)
    placed = sum(sum(count.values()) for count in counts) - queued
    # Nomad counts a slot as queued only after its evaluation.
    return max(queued, int((job.meta or {}).get("slots", 0)) - placed)


def nothing_offered(driver: str) -> str:
    """Return the sentence for a cluster whose machines accept no slots."""
    return (
        f"No machine takes slots: Nomad has no ready, eligible node with a healthy {driver}"
        f" driver whose meta has {CORE_TYPES_KEY}."
    )


def _is_of(job: NomadJob, pool: Pool) -> bool:
    try:
        return pool_of(job) == pool
    except SlotRefused:
        return False
