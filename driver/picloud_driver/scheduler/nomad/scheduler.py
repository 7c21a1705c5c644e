"""Slots as allocations of Nomad: one batch job per burst. The adapter of the HashiCorp stack."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from picloud_jobspecs.fetch import fetch_jobspec, fetch_variables, is_pulled
from picloud_jobspecs.render import (
    AUDIENCE,
    BURST_PREFIX,
    TASK,
    Driver,
    SlotJob,
    SlotSite,
    fill,
    is_burst,
    jobspec,
    variables,
)
from picloud_model.errors import RequestRefused, SlotRefused, Unavailable

from picloud_driver.nomad.answers import PRESENT, Allocation
from picloud_driver.nomad.gateway import NomadAccess, NomadGateway
from picloud_driver.nomad.identity import Identities
from picloud_driver.scheduler.nomad.capacity import (
    ClusterCapacity,
    nothing_offered,
    pool_of,
    unplaced,
)
from picloud_driver.scheduler.nomad.ended_allocations import EndedAllocations
from picloud_driver.scheduler.nomad.nodes import Nodes
from picloud_driver.scheduler.port import (
    Burst,
    Placement,
    Pool,
    SchedulerPort,
    SlotEnd,
    SlotPresence,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_T = TypeVar("_T")

PLACED_S: Final = 2.0
"""How long `start` waits for Nomad to place slots; the others get a place later."""
STOP_S: Final = 15.0
"""How long slots may take to end: two seconds, and Nomad's delay in noticing it."""
_WAIT_S: Final = 2.0


class NomadScheduler(SchedulerPort):
    """Runs slots on the machines of a Nomad cluster whose meta `picloud_core_types` offers them.

    A place is an allocation. All state is in Nomad, so any number of processes may serve one API.
    All bursts of a namespace of Nomad's belong to one API.

    Args:
        access: Address and credentials.
        site: The settings of all slots.
        in_image: Returns the settings of slots in an image; without it there are no images.
        threads: How many requests may run at once.
        clock: Seconds since the epoch.
    """

    adapter: ClassVar[str] = "nomad"

    def __init__(
        self,
        access: NomadAccess,
        site: SlotSite,
        *,
        in_image: Callable[[SlotSite, str], SlotSite] | None = None,
        threads: int = 8,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._access = access
        self._site = site
        self._in_image = in_image
        self.shares_files = False
        self.isolates = site.driver is Driver.DOCKER
        self._gateway = NomadGateway(access, connections=threads + 3)
        self._threads = ThreadPoolExecutor(threads, "nomad")
        self._identities = Identities(self._gateway.keys, AUDIENCE, clock)
        self._nodes = Nodes(self._gateway, site.driver)
        self._capacity = ClusterCapacity(self._gateway, self._nodes, site.driver)
        self._ends = EndedAllocations(self._gateway, self._threads, clock)
        self._templates: dict[tuple[str, int, str], dict[str, Any]] = {}

    def __repr__(self) -> str:
        return f"NomadScheduler({self._access.address!r})"

    async def start(self, burst: Burst) -> None:
        """See `SchedulerPort.start`; slots without room on a machine get a place later."""
        pool = burst.pool
        job = SlotJob(
            burst=burst.name,
            account=pool.account,
            core_type=pool.core_type,
            cores=pool.cores,
            image=pool.image,
            count=burst.count,
        )
        if pool.image and self._in_image is None:
            message = "This server runs jobs in its own Python only; leave out the environment."
            raise RequestRefused(message, field="image")
        if refusal := await self._ask(self._capacity.refusal, pool):
            raise RequestRefused(refusal, field="core_type")
        filled = fill(await self._template(job), job)
        evaluation = await self._ask(self._gateway.register, filled)
        if evaluation:
            await self._ask(self._gateway.evaluated, evaluation, PLACED_S)

    async def prefetch(self, image: str, instead_of: str) -> None:
        """See `SchedulerPort.prefetch`; slots of the last ten minutes count."""
        if self._in_image is None or self._site.driver is not Driver.DOCKER:
            return
        site = await self._ask(self._in_image, self._site, image)
        if is_pulled(site.container):
            await self._ask(self._fetch, image, site.container, instead_of)

    async def stop(self, burst: str) -> None:
        """See `SchedulerPort.stop`; slots get SIGTERM, and are killed after 2 s."""
        if not is_burst(burst):
            return
        deadline = time.monotonic() + STOP_S
        evaluation = await self._ask(self._gateway.deregister, burst)
        # Until then, Nomad may still place slots.
        if evaluation and not await self._ask(self._gateway.evaluated, evaluation, STOP_S):
            raise Unavailable(f"Nomad has not come to end the slots of {burst} yet; try again.")
        found, index = await self._ask(self._gateway.allocations_of, burst)
        while not all(allocation.ended for allocation in found):
            if time.monotonic() > deadline:
                raise Unavailable(f"Slots of {burst} do not end; is a machine of Nomad's hanging?")
            found, index = await self._ask(self._gateway.allocations_of, burst, index, _WAIT_S)

    async def verify(self, proof: str) -> Placement:
        """See `SchedulerPort.verify`; the pool comes from the job that Nomad has registered."""
        identity = await self._ask(self._identities.read, proof)
        if identity.namespace != self._access.namespace or identity.task != TASK:
            raise SlotRefused
        if not is_burst(identity.job_id):
            raise SlotRefused
        found = await self._ask(self._gateway.allocation, identity.allocation_id)
        if found is None or found.job_id != identity.job_id or not _may_run(found):
            raise SlotRefused
        return Placement(found.job_id, found.id, pool_of(found.job))

    async def slots(self) -> Sequence[SlotPresence]:
        """See `SchedulerPort.slots`.

        A slot that Nomad has not placed is pending at a place named `burst[number]`.
        """
        return await self._ask(self._present)

    async def ended(self, timeout_s: float) -> Sequence[SlotEnd]:
        """See `SchedulerPort.ended`; a new process gets the ends of the last ten minutes."""
        return await self._ends.next(timeout_s)

    async def capacity(self, core_type: str) -> int:
        """See `SchedulerPort.capacity`; the sum of `picloud_slots`, as far as they fit."""
        return await self._ask(self._nodes.capacity, core_type)

    def page_of(self, place: str) -> str:
        """See `SchedulerPort.page_of`; that of the allocation in Nomad's UI."""
        return f"{self._access.address}/ui/allocations/{place}"

    async def pending_reason(self, pool: Pool) -> str:
        """See `SchedulerPort.pending_reason`; Nomad's reason for not placing slots."""
        return await self._ask(self._capacity.pending_reason, pool)

    async def ping(self) -> None:
        """See `SchedulerPort.ping`."""
        if not await self._ask(self._gateway.leader):
            raise Unavailable(f"Nomad at {self._access.address} has no leader; start its servers.")
        offers = await self._ask(self._nodes.offers)
        if not any(offer.core_types for offer in offers):
            raise Unavailable(nothing_offered(self._site.driver))

    async def close(self) -> None:
        """See `SchedulerPort.close`."""
        await self._ends.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._gateway.close()

    async def _template(self, job: SlotJob) -> dict[str, Any]:
        """Return the jobspec that Nomad parsed, once, for this kind of slot."""
        kind = (job.core_type, job.cores, job.image)
        if kind not in self._templates:
            site = self._site
            if job.image and self._in_image is not None:
                site = await self._ask(self._in_image, site, job.image)
            values = variables(site, job)
            self._templates[kind] = await self._ask(self._gateway.parse, jobspec(), values)
        return self._templates[kind]

    def _fetch(self, image: str, container: str, instead_of: str) -> None:
        bursts = self._gateway.jobs(BURST_PREFIX)
        machines = {
            place.node_id
            for burst in bursts
            if (burst.meta or {}).get("image") == instead_of
            for place in self._gateway.allocations_of(burst.id)[0]
        }
        if machines:
            values = fetch_variables(image, container, machines)
            self._gateway.register(self._gateway.parse(fetch_jobspec(), values))

    def _present(self) -> list[SlotPresence]:
        # Jobs first: a slot that is placed in between is counted twice, never missed.
        waiting = [
            SlotPresence(job.id, f"{job.id}[{number}]", running=False)
            for job in self._gateway.jobs(BURST_PREFIX)
            for number in range(unplaced(job))
        ]
        found, _ = self._gateway.allocations(BURST_PREFIX, PRESENT)
        placed = [
            SlotPresence(place.job_id, place.id, place.client_status == "running")
            for place in found
        ]
        return sorted(placed, key=lambda place: (place.burst, place.place)) + waiting

    async def _ask(self, question: Callable[..., _T], *args: object) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, question, *args)


def _may_run(found: Allocation) -> bool:
    return found.desired_status == "run" and found.client_status in ("pending", "running")
