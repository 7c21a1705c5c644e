"""What is remembered of paths answers only where that is safe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_model.wire.bucket import ObjectDescription, OpenedObject, PathFound
from picloud_worker.mount.glances import LISTED_S, MOMENT_S, Glance, Glances

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


def described(size: int = 1) -> ObjectDescription:
    """The object `a` in a version of some length."""
    return ObjectDescription(key="a", size=size, etag=f"e{size}", modified_at=1.0)


FILE = PathFound(object=described(), folder=False, url="/there")
FOLDER = PathFound(object=None, folder=True)


@pytest.fixture
def clock() -> Clock:
    """The time, in seconds."""
    return Clock()


@pytest.fixture
def glances(clock: Clock) -> Glances:
    """Nothing is remembered yet."""
    return Glances(clock)


def test_a_file_is_opened_once_from_the_look_before(glances: Glances, clock: Clock) -> None:
    """Opening uses what the kernel's look has just found, once, and only at once."""
    glances.found("a", FILE, clock())
    assert glances.of("a") is None
    assert glances.opened("a") == OpenedObject(described(), "/there")
    assert glances.opened("a") is None

    glances.found("a", FILE, clock())
    clock.now += MOMENT_S + 0.01
    assert glances.opened("a") is None


def test_a_late_reply_does_not_replace_a_newer_one(glances: Glances, clock: Clock) -> None:
    """What counts is when a request was sent."""
    newer = PathFound(object=described(2), folder=False)
    glances.found("a", newer, clock() + 0.01)
    glances.found("a", FILE, clock())

    opened = glances.opened("a")
    assert opened is not None
    assert opened.object.size == 2


def test_an_open_file_and_a_folder_answer_for_a_moment(glances: Glances, clock: Clock) -> None:
    """A program looks at a file that it has opened, and opens many files of a folder."""
    glances.open(OpenedObject(described(), ""), clock())
    glances.found("f", FOLDER, clock())
    file, folder = Glance(clock(), 1, 1.0), Glance(clock(), is_folder=True)
    assert (glances.of("a"), glances.of("f")) == (file, folder)
    assert (glances.of("a"), glances.of("f")) == (file, folder)

    clock.now += MOMENT_S + 0.01
    assert (glances.of("a"), glances.of("f")) == (None, None)


def test_an_entry_of_a_listing_answers_once(glances: Glances, clock: Clock) -> None:
    """After it nothing older is opened."""
    glances.found("a", FILE, clock())
    glances.listed({"a": Glance(clock(), 5)}, clock())
    assert glances.of("a") == Glance(clock(), 5)
    assert glances.of("a") is None
    assert glances.opened("a") is None

    glances.listed({"a": Glance(clock(), 5)}, clock())
    clock.now += LISTED_S
    assert glances.of("a") is None


@pytest.mark.parametrize("change", [Glances.stored, Glances.removed])
def test_a_change_here_is_seen_at_once(
    glances: Glances, clock: Clock, change: Callable[[Glances], None]
) -> None:
    """Files are looked at again, also if a reply arrives that was sent for before the change."""
    before = clock()
    glances.open(OpenedObject(described(), ""), before)
    glances.found("f", FOLDER, before)
    clock.now += 0.01
    change(glances)
    glances.found("a", FILE, before)
    glances.listed({"a": Glance(before)}, before)
    glances.open(OpenedObject(described(), ""), before)

    assert glances.of("a") is None
    assert glances.opened("a") is None
    assert (glances.of("f") is None) == (change is Glances.removed)


def test_few_paths_are_remembered(glances: Glances, clock: Clock) -> None:
    """A program that opens a million files does not fill the memory."""
    for number in range(2500):
        glances.found(str(number), FOLDER, clock())

    assert sum(glances.of(str(number)) is not None for number in range(2500)) <= 1000
