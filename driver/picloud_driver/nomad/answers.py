"""What Nomad tells: of its answers, the parts the platform reads."""

from __future__ import annotations

from typing import Final

import msgspec

ENDED: Final = frozenset({"complete", "failed", "lost"})
"""What an allocation is once nothing of it runs."""
PRESENT: Final = frozenset({"pending", "running", "unknown"})
"""What an allocation is until then; unknown is one on a machine that is cut off."""


class _NomadObject(msgspec.Struct, frozen=True, rename="pascal"):
    """An object of Nomad's; what is not named here is left out."""


class TaskEvent(_NomadObject, frozen=True):
    """What happened to a task."""

    type: str
    display_message: str = ""
    exit_code: int = 0
    signal: int = 0


class TaskState(_NomadObject, frozen=True):
    """A task of an allocation, with the last ten events."""

    state: str
    events: list[TaskEvent] | None = None


class Job(_NomadObject, frozen=True):
    """A job; `summary` is there in lists only."""

    id: str = msgspec.field(name="ID")
    status: str
    stop: bool
    create_index: int
    meta: dict[str, str] | None = None
    job_summary: Summary | None = None


class Summary(_NomadObject, frozen=True):
    """How many allocations of a job there are, by task group and status."""

    summary: dict[str, dict[str, int]]


class Allocation(_NomadObject, frozen=True):
    """A placed task group; `job` is there only when one allocation was asked for."""

    id: str = msgspec.field(name="ID")
    job_id: str = msgspec.field(name="JobID")
    namespace: str
    node_name: str
    client_status: str
    desired_status: str
    create_index: int
    client_description: str = ""
    task_states: dict[str, TaskState] | None = None
    job: Job | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs any more, as far as Nomad knows."""
        return self.client_status in ENDED


class Shortage(_NomadObject, frozen=True):
    """Why Nomad found no machine for a task group: how many machines fell out, and for what."""

    nodes_evaluated: int = 0
    constraint_filtered: dict[str, int] | None = None
    dimension_exhausted: dict[str, int] | None = None


class Evaluation(_NomadObject, frozen=True):
    """Nomad's thinking about where to place a job; what it could not place, by task group."""

    status: str
    modify_index: int = 0
    failed: dict[str, Shortage] | None = msgspec.field(name="FailedTGAllocs", default=None)


class Registered(_NomadObject, frozen=True):
    """A job was taken, or taken away; without an evaluation, nothing changed."""

    eval_id: str = msgspec.field(name="EvalID", default="")


class DriverHealth(_NomadObject, frozen=True):
    """Whether a machine can run tasks of one kind."""

    healthy: bool = False


class Cpu(_NomadObject, frozen=True):
    """Processors: MHz in all, and how many."""

    cpu_shares: int
    total_cpu_cores: int = 0


class Memory(_NomadObject, frozen=True):
    """Memory in MB."""

    memory_mb: int = msgspec.field(name="MemoryMB")


class Resources(_NomadObject, frozen=True):
    """What a machine has, or what it keeps for itself."""

    cpu: Cpu
    memory: Memory


class Node(_NomadObject, frozen=True):
    """A machine, as in a list."""

    id: str = msgspec.field(name="ID")
    name: str
    status: str
    scheduling_eligibility: str
    modify_index: int
    drivers: dict[str, DriverHealth] | None = None
    node_resources: Resources | None = None
    reserved_resources: Resources | None = None


class NodeMeta(_NomadObject, frozen=True):
    """What an operator says of a machine."""

    meta: dict[str, str] | None = None


class Payload(_NomadObject, frozen=True):
    """What an event is about."""

    allocation: Allocation | None = None


class StreamEvent(_NomadObject, frozen=True):
    """Something changed."""

    payload: Payload


class Events(_NomadObject, frozen=True):
    """What changed at one index; a sign of life has none."""

    index: int = 0
    events: list[StreamEvent] | None = None
