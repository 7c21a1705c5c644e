"""The planner: groups grow at once, and shrink slowly, by machines that are empty."""

from __future__ import annotations

import dataclasses

import pytest
from msgspec.structs import replace
from picloud_driver.capacity.plan import Group, GroupMachine, Planner

CALM_S = 600.0
GROUP = Group(core_type="c1", name="g", minimum=1, maximum=10, size=2, cores=2)


@dataclasses.dataclass
class Clock:
    """The time, which the test moves."""

    now: float = 1000.0

    def __call__(self) -> float:
        """Return it."""
        return self.now


def machines(*slots: int, draining: int = 0) -> tuple[GroupMachine, ...]:
    """Return machines with so many slots each, of which the last ones are drained."""
    first = len(slots) - draining
    return tuple(
        GroupMachine(id=f"i-{number}", node=f"n{number}", slots=count, draining=number >= first)
        for number, count in enumerate(slots)
    )


@pytest.mark.parametrize(
    ("cores", "size"), [(0, 1), (1, 1), (2, 1), (3, 2), (11, 6), (20, 10), (1000, 10)]
)
def test_as_many_machines_are_wanted_as_the_work_can_use(cores: int, size: int) -> None:
    """Within the bounds of the group, and rounded up."""
    assert Planner(Clock(), CALM_S).decide(GROUP, cores).wanted == size


def test_a_group_grows_at_once() -> None:
    """No matter what was wanted before."""
    planner = Planner(Clock(), CALM_S)
    planner.decide(GROUP, 0)

    assert planner.decide(GROUP, 12).size == 6


def test_a_group_does_not_shrink_before_it_was_watched_for_a_while() -> None:
    """A loop that was just started knows nothing of the work before."""
    clock = Clock()
    planner = Planner(clock, CALM_S)
    group = replace(GROUP, machines=machines(0, 0))

    first = planner.decide(group, 0)
    clock.now += CALM_S - 1
    second = planner.decide(group, 0)
    clock.now += 1
    third = planner.decide(group, 0)

    assert (first.drain, second.drain) == ((), ())
    assert (third.drain, third.size) == (group.machines[:1], 2)


def test_work_that_comes_and_goes_ends_no_machine() -> None:
    """The most that was wanted during the last ten minutes stays."""
    clock = Clock()
    planner = Planner(clock, CALM_S)
    group = replace(GROUP, machines=machines(0, 0))
    for cores in (0, 4, 0, 4, 0, 0, 0):
        clock.now += CALM_S / 3
        assert planner.decide(group, cores).drain == ()
    clock.now += CALM_S / 3

    assert len(planner.decide(group, 0).drain) == 1


def test_machines_with_the_fewest_slots_are_drained() -> None:
    """Not those that have not joined yet: they are about to take work that waits."""
    clock = Clock()
    planner = Planner(clock, CALM_S)
    starting = GroupMachine(id="i-new")
    group = replace(GROUP, size=4, machines=(*machines(2, 0, 1), starting))
    planner.decide(group, 4)
    clock.now += CALM_S

    assert [each.id for each in planner.decide(group, 4).drain] == ["i-1", "i-2"]


def test_a_drained_machine_ends_when_it_is_empty() -> None:
    """One that still has slots does not; the size of the group is not reduced otherwise."""
    planner = Planner(Clock(), CALM_S)
    group = replace(GROUP, size=4, machines=machines(1, 1, 1, 0, draining=2))

    step = planner.decide(group, 4)

    assert [each.id for each in step.end] == ["i-3"]
    assert (step.size, step.keep, step.drain) == (4, (), ())


def test_new_work_takes_drained_machines_first() -> None:
    """They need no start; only what lacks then is started."""
    planner = Planner(Clock(), CALM_S)
    group = replace(GROUP, size=3, machines=machines(2, 2, 0, draining=1))

    some = planner.decide(group, 6)
    more = planner.decide(group, 10)

    assert ([each.id for each in some.keep], some.size, some.end) == (["i-2"], 3, ())
    assert ([each.id for each in more.keep], more.size, more.end) == (["i-2"], 5, ())


def test_drained_machines_do_not_count_for_the_work() -> None:
    """The group is larger by them for a while, but never larger than it may be."""
    planner = Planner(Clock(), CALM_S)
    group = replace(GROUP, size=3, machines=machines(2, 1, 1, draining=2))

    assert planner.decide(replace(group, maximum=3), 6).size == 3
    assert planner.decide(group, 2).size == 3
    assert planner.decide(group, 2).end == ()
