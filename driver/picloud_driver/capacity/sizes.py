"""The sizes of groups of machines: one look at all of them, and the changes that follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from picloud_driver.capacity.plan import Group, GroupMachine, Planner, SizeChange
    from picloud_driver.nomad.administrator import ClientMachine


class Groups(Protocol):
    """Groups of machines, as a cloud has them."""

    def read(self, names: Mapping[str, str], clients: Sequence[ClientMachine]) -> list[Group]:
        """Return groups as they are, by core type and name."""

    def resize(self, group: Group, size: int) -> None:
        """Let a group have more machines."""

    def end(self, machine: GroupMachine) -> None:
        """End a machine; its group gets smaller by one."""


class Clients(Protocol):
    """The machines, as their scheduler has them."""

    def machines(self) -> list[ClientMachine]:
        """Return those that are ready."""

    def drain(self, machine: str, deadline_s: float) -> None:
        """Give a machine no further slots; those that it has end by then."""

    def keep(self, machine: str) -> None:
        """Give a machine slots again."""


class Sizes:
    """Lets the sizes of groups follow the work.

    A machine that is no longer wanted is drained first, and ends once it is empty. The cloud never
    chooses one itself, as no size is reduced otherwise.

    Args:
        groups: The groups.
        clients: Their machines.
        names: The name of the group of each core type.
        planner: Decides.
        drain_s: How long slots of a machine that is drained may run on.
    """

    def __init__(
        self,
        groups: Groups,
        clients: Clients,
        names: Mapping[str, str],
        *,
        planner: Planner,
        drain_s: float,
    ) -> None:
        self._groups = groups
        self._clients = clients
        self._names = names
        self._planner = planner
        self._drain_s = drain_s

    def look(self, cores: Mapping[str, int]) -> list[tuple[Group, SizeChange]]:
        """Return each group as it is, and what is to change; nothing is changed.

        Args:
            cores: How many cores the work of each core type could use at once.
        """
        groups = self._groups.read(self._names, self._clients.machines())
        return [(each, self._planner.decide(each, cores.get(each.core_type, 0))) for each in groups]

    def change(self, group: Group, step: SizeChange) -> Iterator[str]:
        """Make the changes of a step; yield each in words once it is made.

        Each may be made again, so a round that failed in its middle is made up by the next one.
        """
        for machine in step.keep:
            self._clients.keep(machine.node)
            yield f"{machine.id} takes slots again"
        if step.size > group.size:
            self._groups.resize(group, step.size)
            yield f"{step.size} machines in place of {group.size}"
        for machine in step.drain:
            self._clients.drain(machine.node, self._drain_s)
            yield f"{machine.id} is drained"
        for machine in step.end:
            self._groups.end(machine)
            yield f"{machine.id} ends"
