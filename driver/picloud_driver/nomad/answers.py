"""The parts of Nomad's answers that the platform reads."""

from __future__ import annotations

from typing import Final

import msgspec

ENDED: Final = frozenset({"complete", "failed", "lost"})
"""Statuses of an allocation that no longer runs."""
PRESENT: Final = frozenset({"pending", "running", "unknown"})
"""Statuses of an allocation that may run; unknown if its machine is disconnected."""


class _NomadObject(msgspec.Struct, frozen=True, rename="pascal"):
    """An object of Nomad's, without the fields that are not named here."""


class TaskEvent(_NomadObject, frozen=True):
    """An event of a task."""

    type: str
    display_message: str = ""
    exit_code: int = 0
    signal: int = 0


class TaskState(_NomadObject, frozen=True):
    """A task of an allocation, with its last ten events."""

    state: str
    events: list[TaskEvent] | None = None


class NomadJob(_NomadObject, frozen=True):
    """A job; only lists have `job_summary`."""

    id: str = msgspec.field(name="ID")
    status: str
    stop: bool
    create_index: int
    meta: dict[str, str] | None = None
    job_summary: Summary | None = None


class Summary(_NomadObject, frozen=True):
    """The number of allocations of a job, by task group and status."""

    summary: dict[str, dict[str, int]]


class Allocation(_NomadObject, frozen=True):
    """A placed task group; lists omit `job`."""

    id: str = msgspec.field(name="ID")
    job_id: str = msgspec.field(name="JobID")
    namespace: str
    node_name: str
    client_status: str
    desired_status: str
    create_index: int
    node_id: str = msgspec.field(name="NodeID", default="")
    client_description: str = ""
    task_states: dict[str, TaskState] | None = None
    job: NomadJob | None = None

    @property
    def ended(self) -> bool:
        """Whether it no longer runs, as far as Nomad knows."""
        return self.client_status in ENDED


class Shortage(_NomadObject, frozen=True):
    """Why Nomad found no machine for a task group: the number of excluded machines by reason."""

    nodes_evaluated: int = 0
    constraint_filtered: dict[str, int] | None = None
    dimension_exhausted: dict[str, int] | None = None


class Evaluation(_NomadObject, frozen=True):
    """Nomad's placement of a job; `failed` has what it could not place, by task group."""

    status: str
    modify_index: int = 0
    failed: dict[str, Shortage] | None = msgspec.field(name="FailedTGAllocs", default=None)


class Registered(_NomadObject, frozen=True):
    """The answer to a registration or deregistration; without an evaluation, nothing changed."""

    eval_id: str = msgspec.field(name="EvalID", default="")


class DriverHealth(_NomadObject, frozen=True):
    """The health of a driver on a machine."""

    healthy: bool = False


class Cpu(_NomadObject, frozen=True):
    """Processors: their total MHz and their number."""

    cpu_shares: int
    total_cpu_cores: int = 0


class Memory(_NomadObject, frozen=True):
    """Memory in MB."""

    memory_mb: int = msgspec.field(name="MemoryMB")


class Resources(_NomadObject, frozen=True):
    """The resources of a machine, or those it reserves for itself."""

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
    """The meta values that an operator gave a machine."""

    meta: dict[str, str] | None = None


class Payload(_NomadObject, frozen=True):
    """The object of an event."""

    allocation: Allocation | None = None


class StreamEvent(_NomadObject, frozen=True):
    """A change."""

    payload: Payload


class Events(_NomadObject, frozen=True):
    """The changes at one index; a heartbeat of the stream has none."""

    index: int = 0
    events: list[StreamEvent] | None = None
