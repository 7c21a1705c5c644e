"""The notifier: what one process publishes arrives at the others, once and in order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from picloud_api.background.notifier import REMOVED_AFTER_S, SILENT_S, Notifier, next_pause
from picloud_api.store import layout
from picloud_api.store.commits import CHANGE_LOG_EVENTS
from picloud_api.store.records import ChangeLog, Event, EventKind
from picloud_driver.state import Put

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.recording_state import SharedRecordingState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi

OTHER = layout.change_log("other")


class Receiver:
    """Keeps what it receives."""

    def __init__(self) -> None:
        self.batches: list[str] = []
        self.resyncs = 0

    async def on_remote_events(self, events: Sequence[Event]) -> bool:
        self.batches += [event.batch for event in events]
        return True

    async def resync(self) -> None:
        self.resyncs += 1


def event(number: int) -> Event:
    """Return an event of the account."""
    return Event(EventKind.FINISHED, ACCOUNT, f"b{number}")


async def published(api: ApiHarness, *numbers: int, count: int) -> None:
    """Write the change log of another process."""
    log = ChangeLog(count, [event(number) for number in numbers], api.now)
    await api.server.ports.state.commit([Put(OTHER, layout.encode(log))])


@pytest.fixture
async def api(start_api: StartApi) -> ApiHarness:
    """A server whose state store another process writes to."""
    return await start_api(SharedRecordingState)


@pytest.fixture
async def receiver(api: ApiHarness) -> AsyncIterator[tuple[Receiver, Notifier]]:
    """What receives the events of the other process, and the notifier that brings them."""
    receiver = Receiver()
    notifier = Notifier(api.server.context, receiver)
    await published(api, 1, count=1)
    await notifier.start()
    task = asyncio.create_task(notifier.listen())
    yield receiver, notifier
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_event_that_only_a_newer_process_knows(
    api: ApiHarness, receiver: tuple[Receiver, Notifier]
) -> None:
    """It arrives, so that its batch is read again, and those after it arrive, too."""
    listener, _ = receiver
    log = [3, [[250, ACCOUNT, "b2", "more"], [int(EventKind.FINISHED), ACCOUNT, "b3"]], api.now]
    await api.server.ports.state.commit([Put(OTHER, msgspec.msgpack.encode(log))])

    await api.wait_until(lambda: _batches(listener), ["b2", "b3"])


async def test_events_of_others_arrive_once(
    api: ApiHarness, receiver: tuple[Receiver, Notifier]
) -> None:
    """Those from before the start do not: the full look at the start has seen them."""
    listener, _ = receiver
    await published(api, 1, 2, 3, count=3)
    await api.wait_until(lambda: _batches(listener), ["b2", "b3"])

    await published(api, 1, 2, 3, 4, count=4)

    await api.wait_until(lambda: _batches(listener), ["b2", "b3", "b4"])
    assert listener.resyncs == 0


async def _batches(receiver: Receiver) -> list[str]:
    return receiver.batches


async def test_more_than_a_log_lists_is_a_resync(
    api: ApiHarness, receiver: tuple[Receiver, Notifier]
) -> None:
    """The events that were missed are not known, so everything is read again."""
    listener, _ = receiver

    await published(api, 5, count=CHANGE_LOG_EVENTS + 2)

    await api.wait_until(lambda: _resyncs(listener), 1)
    assert listener.batches == []


async def _resyncs(receiver: Receiver) -> int:
    return receiver.resyncs


async def test_a_process_is_alone_until_another_lives(
    api: ApiHarness, receiver: tuple[Receiver, Notifier]
) -> None:
    """A change log that was not written for long is that of a process that has ended."""
    _, notifier = receiver
    commits = api.server.context.commits
    assert not commits.alone

    api.now += SILENT_S
    await notifier.publish()

    assert commits.alone


async def test_the_logs_of_ended_processes_are_removed(
    api: ApiHarness, receiver: tuple[Receiver, Notifier]
) -> None:
    """But not the own one, which is written before."""
    _, notifier = receiver
    api.now += REMOVED_AFTER_S + 1

    await notifier.publish()

    own = layout.change_log(api.server.context.commits.process)
    entries = await api.server.ports.state.scan(ChangeLog.prefix)
    assert [entry.key for entry in entries] == [own]


def test_the_pause_follows_what_is_missed() -> None:
    """It doubles up to 0.1 s while nothing concerns this process, and halves when logs fill up."""
    pauses = [0.002]
    for share in (0.01, 0.01, 0.3, 0.9):
        pauses.append(next_pause(pauses[-1], share, concerned=False))

    assert pauses == [0.002, 0.004, 0.008, 0.008, 0.004]
    assert next_pause(0.1, 0.0, concerned=True) == 0.002
