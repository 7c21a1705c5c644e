"""Sizes: the changes of a round, in an order that ends no machine that is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_driver.capacity.plan import Group, GroupMachine, Planner, SizeChange
from picloud_driver.capacity.sizes import Sizes
from picloud_driver.nomad.administrator import ClientMachine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OLD, IDLE, EMPTY = (GroupMachine(id=f"i-{name}", node=name) for name in ("old", "idle", "empty"))
GROUP = Group(core_type="c1", name="g", minimum=0, maximum=9, size=3, cores=2)


class Cloud:
    """Groups and clients that record what is done."""

    def __init__(self) -> None:
        self.done: list[tuple[object, ...]] = []

    def read(self, names: Mapping[str, str], clients: Sequence[ClientMachine]) -> list[Group]:
        """Return the one group."""
        self.done.append(("read", dict(names), [each.id for each in clients]))
        return [GROUP]

    def resize(self, group: Group, size: int) -> None:
        """Record it."""
        self.done.append(("resize", group.name, size))

    def end(self, machine: GroupMachine) -> None:
        """Record it."""
        self.done.append(("end", machine.id))

    def machines(self) -> list[ClientMachine]:
        """Return one."""
        return [ClientMachine(id="old", address="10.0.0.1", eligible=True, slots=1)]

    def drain(self, machine: str, deadline_s: float) -> None:
        """Record it."""
        self.done.append(("drain", machine, deadline_s))

    def keep(self, machine: str) -> None:
        """Record it."""
        self.done.append(("keep", machine))


def sizes(cloud: Cloud) -> Sizes:
    """Return what is tested."""
    planner = Planner(lambda: 0.0, 600.0)
    return Sizes(cloud, cloud, {"c1": "g"}, planner=planner, drain_s=60.0)


def test_a_look_changes_nothing() -> None:
    """It asks Nomad and the cloud, and decides by the cores of the group's core type."""
    cloud = Cloud()

    ((group, step),) = sizes(cloud).look({"c1": 8, "c2": 100})

    assert (group, step.wanted, step.size) == (GROUP, 4, 4)
    assert cloud.done == [("read", {"c1": "g"}, ["old"])]


def test_changes_are_made_and_told() -> None:
    """Machines are kept before more are started, and drained before they end."""
    cloud = Cloud()
    step = SizeChange(wanted=4, size=5, keep=(OLD,), drain=(IDLE,), end=(EMPTY,))

    told = list(sizes(cloud).change(GROUP, step))

    assert cloud.done == [
        ("keep", "old"),
        ("resize", "g", 5),
        ("drain", "idle", 60.0),
        ("end", "i-empty"),
    ]
    assert told == [
        "i-old takes slots again",
        "5 machines in place of 3",
        "i-idle is drained",
        "i-empty ends",
    ]


def test_a_size_that_stays_is_not_set() -> None:
    """A size is never reduced: the cloud would choose the machine that ends."""
    cloud = Cloud()

    assert list(sizes(cloud).change(GROUP, SizeChange(wanted=1, size=3))) == []
    assert cloud.done == []
