"""What is taken while earlier messages are handled, and what is not."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from cloud._queues.intake import MOST, Intake, IntakeEnded

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator

FAST_S = 1e-6


class Source:
    """Messages, which are numbers; a take waits until the test allows it."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.replies: deque[Any] = deque()
        self.allowed = threading.Semaphore(0)

    def take(self, most: int) -> Any:
        """Return the next reply, or raise it."""
        self.asked.append(most)
        assert self.allowed.acquire(timeout=30)
        reply = self.replies.popleft() if self.replies else IntakeEnded()
        if isinstance(reply, BaseException):
            raise reply
        return reply

    def reply(self, *replies: Any) -> None:
        """Let takes return or raise these."""
        self.replies += replies
        self.allowed.release(len(replies))


@pytest.fixture
def source() -> Source:
    """Messages to take."""
    return Source()


@pytest.fixture
def intake(source: Source) -> Iterator[Intake]:
    """What one reader gets."""
    with running(source, readers=1) as made:
        yield made


@contextmanager
def running(source: Source, readers: int) -> Iterator[Intake]:
    """Yield an intake whose thread runs."""
    intake = Intake(source.take, readers)
    thread = threading.Thread(target=intake.run)
    thread.start()
    try:
        yield intake
    finally:
        intake.end()
        source.allowed.release(100)
        thread.join(30)
    assert not thread.is_alive()


def test_messages_are_taken_while_earlier_ones_are_handled(source: Source, intake: Intake) -> None:
    """Half of them are left when the next are requested: the reader does not wait for these."""
    source.reply([0])
    assert intake.wait() == 0
    intake.note_pace(FAST_S)
    source.reply([1, 2, 3, 4])
    assert intake.wait() == 1
    assert [intake.next(), intake.next()] == [2, 3]

    until(lambda: len(source.asked) == 3, "more are requested before the last is handled")
    source.reply([5])
    assert intake.next() == 4
    assert intake.wait() == 5
    assert source.asked[:3] == [1, 4, 4]


def test_a_fast_handler_gets_many_at_once(source: Source, intake: Intake) -> None:
    """At most four times as many as before: the next messages may take longer."""
    for taken in range(1, 10):
        source.reply([0])
        assert intake.wait() == 0
        intake.note_pace(FAST_S)
        until(lambda taken=taken: len(source.asked) > taken, "the next are requested")

    assert source.asked[-1] == MOST
    assert all(after <= 4 * before for before, after in pairwise(source.asked))


def test_nothing_is_taken_while_a_slow_handler_has_a_message(
    source: Source, intake: Intake
) -> None:
    """Another job may handle it sooner."""
    source.reply([0])
    assert intake.wait() == 0
    intake.note_pace(10.0)

    assert (intake.next(), source.asked) == (None, [1])
    source.reply([1])
    assert intake.wait() == 1
    assert source.asked == [1, 1]


def test_readers_share_what_is_taken(source: Source) -> None:
    """One request for all that wait."""
    with running(source, readers=3) as intake:
        read: list[Any] = []
        readers = [threading.Thread(target=lambda: read.append(intake.wait())) for _ in range(3)]
        for each in readers:
            each.start()
        until(lambda: bool(source.asked), "messages are requested")
        source.reply([0], [1, 2])
        for each in readers:
            each.join(30)

        assert sorted(read) == [0, 1, 2]
        assert len(source.asked) <= 3


def test_readers_end_once_all_of_them_have_waited_in_vain(source: Source) -> None:
    """Not while one of them handles a message, which may take long."""
    with running(source, readers=2) as intake:
        read: list[Any] = []
        source.reply([0])
        assert intake.wait() == 0
        other = threading.Thread(target=lambda: read.append(intake.wait()))
        other.start()
        source.reply([])
        until(lambda: len(source.asked) == 3, "messages are requested again")
        assert read == []

        source.reply([], [])
        assert intake.wait() is None
        other.join(30)
        assert read == [None]


@pytest.mark.parametrize("readers", [1, 2])
def test_each_reader_gets_the_error_of_a_take(source: Source, readers: int) -> None:
    """After the messages that came before it."""
    with running(source, readers) as intake:
        source.reply([0, 1])
        assert intake.wait() == 0
        intake.note_pace(FAST_S)
        source.reply(OSError("the connection is lost"))
        until(lambda: len(source.asked) >= 2, "more are requested")

        assert intake.wait() == 1
        for _ in range(readers):
            with pytest.raises(OSError, match="is lost"):
                intake.wait()


def test_no_error_is_raised_when_no_more_are_to_be_taken(source: Source, intake: Intake) -> None:
    """As when another handler was attached."""
    source.reply([0], IntakeEnded())

    assert intake.wait() == 0
    assert intake.wait() is None
