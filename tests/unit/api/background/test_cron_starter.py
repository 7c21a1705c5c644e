"""The cron starter: the leader submits what is due, and learns of what is registered."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import pytest
from msgspec.structs import replace
from picloud_api.background.cron_starter import LONGEST_PAUSE_S, READ_EVERY_S, CronStarter
from picloud_api.store import layout
from picloud_model import wire
from picloud_model.errors import AccountBusy, Unavailable
from picloud_model.wire.cron import CronSchedule, RegisterCronRequest

from tests.unit.api.api_harness import ACCOUNT, ApiHarness
from tests.unit.api.recording_state import RecordingState, SharedRecordingState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_api import wiring
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.crons.cron import Crons
    from picloud_model.errors import PiCloudError

    from tests.unit.api.conftest import StartApi

MINUTE = 60.0


class SharedSmallState(SharedRecordingState):
    """One that other processes write to as well, with transactions of 64 operations: Consul."""

    max_operations: ClassVar[int] = 64


async def register(api: ApiHarness, label: str) -> None:
    """Register a job that runs every minute."""
    job = replace(api.request(1), kind="call")
    request = RegisterCronRequest(label=label, schedule=CronSchedule(schedule="* * * * *"), job=job)
    await api.use_cases.crons.crons.register(ACCOUNT, request)


async def started(api: ApiHarness) -> dict[str, int]:
    """Return the latest jid of each cron job."""
    return {
        each.label: each.last_jid for each in (await api.use_cases.crons.crons.list(ACCOUNT)).crons
    }


def starter(api: ApiHarness) -> CronStarter:
    """Return the cron starter of a server that leads."""
    api.server.background.autoscaler.is_leader = True
    return api.server.background.cron_starter


async def test_all_that_is_due_is_submitted(api: ApiHarness) -> None:
    """Those that were registered meanwhile, too; in between, the store is not read."""
    cron = starter(api)
    for number in range(20):
        await register(api, f"job-{number}")
    await cron.start_if_leader()
    assert set((await started(api)).values()) == {0}

    before = len(api.state.reads)
    await cron.start_if_leader()
    assert len(api.state.reads) == before

    await register(api, "late")
    api.now += MINUTE
    await cron.start_if_leader()
    assert sorted((await started(api)).values()) == list(range(1, 22))
    await cron.start_if_leader()
    assert sorted((await started(api)).values()) == list(range(1, 22))


@pytest.mark.parametrize("state", [RecordingState, SharedSmallState])
async def test_what_is_due_at_the_same_time_shares_transactions(
    start_api: StartApi, state: type[RecordingState]
) -> None:
    """A thousand cron jobs take a tenth of as many transactions and, of Consul, reads."""
    api = await start_api(state)
    for number in range(200):
        await register(api, f"job-{number}")
    cron = starter(api)
    await cron.start_if_leader()
    api.now += MINUTE
    reads, commits = len(api.state.reads), len(api.state.commits)

    await cron.start_if_leader()

    assert len(api.state.commits) - commits <= 30
    assert len(api.state.reads) - reads <= 30
    assert sorted((await started(api)).values()) == list(range(1, 201))


async def test_one_that_cannot_be_submitted_does_not_stop_the_others(api: ApiHarness) -> None:
    """Those that share its transaction are submitted, and it says why it is not."""
    for label in ("a", "b", "c"):
        await register(api, label)
    key = layout.cron(ACCOUNT, "b")
    record = await api.server.context.commits.view.fresh(key)
    options = replace(record.job.options, vols=["gone"])

    async def damage(draft: Draft) -> None:
        await draft.fresh(key)
        draft.put(key, replace(record, job=replace(record.job, options=options)))

    await api.server.context.commits.run(damage)
    cron = starter(api)
    await cron.start_if_leader()
    api.now += MINUTE
    await cron.start_if_leader()

    assert sorted((await started(api)).values()) == [0, 1, 2]
    assert "no volume 'gone'" in (await api.use_cases.crons.crons.info(ACCOUNT, "b")).problem


async def test_a_process_that_does_not_lead_submits_nothing(api: ApiHarness) -> None:
    """Once it leads, what was due a moment ago is not lost."""
    cron = starter(api)
    await register(api, "a")
    await cron.start_if_leader()
    api.server.background.autoscaler.is_leader = False
    api.now += MINUTE
    await cron.start_if_leader()
    assert await started(api) == {"a": 0}

    api.server.background.autoscaler.is_leader = True
    await cron.start_if_leader()

    assert await started(api) == {"a": 1}


async def test_an_event_that_was_missed_does_no_harm(api: ApiHarness) -> None:
    """All cron jobs are read twice a minute; those that were removed are forgotten."""
    cron = starter(api)
    await cron.start_if_leader()
    with api.missed_events():
        await register(api, "a")
    await register_and_remove(api)
    api.now += READ_EVERY_S + MINUTE

    await cron.start_if_leader()

    assert await started(api) == {"a": 1}


class BusyCrons:
    """Crons of an account that is busy until it is not."""

    def __init__(self, crons: Crons) -> None:
        self._crons = crons
        self.is_busy = True
        self.tries = 0

    async def start_due(
        self, keys: Sequence[str], now: float, since: float
    ) -> list[float | PiCloudError | None]:
        """Refuse while busy."""
        self.tries += 1
        if self.is_busy:
            return [AccountBusy() for _ in keys]
        return await self._crons.start_due(keys, now, since)


async def test_what_fails_is_tried_again_after_a_pause(api: ApiHarness) -> None:
    """The pause grows to a minute; after the clock was set back it is not waited for."""
    starter(api)
    await register(api, "a")
    crons = BusyCrons(api.use_cases.crons.crons)
    leader = api.server.background.autoscaler
    cron = CronStarter(api.server.context, leader, crons)  # type: ignore[arg-type]
    await cron.start_if_leader()
    api.now += MINUTE
    tried_at = []
    for _ in range(1200):
        before = crons.tries
        await cron.start_if_leader()
        if crons.tries > before:
            tried_at.append(api.now)
        api.now += 0.25
    pauses = [later - at for at, later in pairwise(tried_at)]
    assert pauses[:8] == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE_S, LONGEST_PAUSE_S]

    api.now = tried_at[-1] - 1.0
    crons.is_busy = False
    await cron.start_if_leader()

    assert await started(api) == {"a": 1}


async def register_and_remove(api: ApiHarness) -> None:
    """Register another cron job, which is removed at once."""
    await register(api, "gone")
    await api.use_cases.crons.crons.deregister(ACCOUNT, "gone")


class Beside(ApiHarness):
    """Another process of a server: it shares the state store, and nothing else."""

    def __init__(self, first: ApiHarness) -> None:
        super().__init__(first.root)
        self._first = first
        self.now = first.now

    def ports(self) -> wiring.Ports:
        """Return those of the first process."""
        self.state = self._first.state
        return self._first.server.ports


@pytest.mark.parametrize("killed_before", [0, 1, 2, 3])
async def test_a_leader_that_is_killed_at_each_due_time(
    start_api: StartApi, killed_before: int
) -> None:
    """Whatever it had written by then, there is one job for each due time: another process leads,
    and the one that is started in its place leads after it.
    """
    first = await start_api(SharedRecordingState)
    await register(first, "a")
    others = [await Beside(first).start()]
    leading, following = first, others[0]

    for minutes in range(1, 7):
        now = 1_000.0 + MINUTE * minutes
        for each in (first, *others):
            each.now = now
        left = [killed_before]

        async def killed(left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise Unavailable("The process was killed.")

        first.state.before_commit = killed
        await starter(leading).start_if_leader()
        first.state.before_commit = None
        leading.server.background.autoscaler.is_leader = False
        await starter(following).start_if_leader()

        listed = await first.use_cases.jobs.listing.list(ACCOUNT, wire.ListRequest(label="a"))
        assert [job.jid for job in listed.jobs] == list(range(minutes, 0, -1))
        known = await first.use_cases.crons.crons.info(ACCOUNT, "a")
        assert (known.last_jid, known.missed, known.problem) == (minutes, 0, "")
        others.append(await Beside(first).start())
        leading, following = following, others[-1]
    for each in others:
        await each.server.background.stop()
        await each.use_cases.jobs.kill.stop()
