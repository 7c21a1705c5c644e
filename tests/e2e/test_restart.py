"""What programs and jobs have in common survives the death of every process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import cloud

from tests.current_client import current_client
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.stacks import Stack


def halting(attempts: str) -> Iterator[int]:
    """Yield numbers; the first attempt stops in the middle."""
    (Path(attempts) / uuid4().hex).touch()
    for number in range(400):
        while number == 200 and len(list(Path(attempts).iterdir())) == 1:
            time.sleep(0.05)
        yield number


def test_what_was_yielded_or_pushed_survives_everything(begin: Callable[..., Stack]) -> None:
    """Every process of the stack is killed at once: values and messages are there, and what was
    read or acknowledged stays gone. The next attempt of a job leaves out what is stored.
    """
    stack = begin()
    attempts = stack.shared / "attempts"
    attempts.mkdir()
    client = stack.client(patient=True)
    with current_client(client):
        values = cloud.stream(halting, str(attempts))
        read = [next(values) for _ in range(150)]
        messages = cloud.queue.get("kept")
        messages.push(range(500))
        (gone, *_) = messages.pop_tickets(1)
        gone.ack()
        assert messages.pop_tickets(5, deadline=3)
        stack.restart()

        kept: list[int] = []

        def are_there() -> bool:
            kept.extend(messages.pop(1000))
            return len(kept) >= 499

        until(are_there, "the messages are there")
        assert sorted([gone.message, *kept]) == list(range(500))
        assert [*read, *values] == list(range(400))
        assert len(list(attempts.iterdir())) == 2
    client.close()
