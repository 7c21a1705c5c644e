"""The secret revoker: however a job ends, its minted secrets end with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_model.errors import Unavailable
from picloud_model.job import State

from tests.unit.api.api_harness import ACCOUNT, report_of

if TYPE_CHECKING:
    from tests.unit.api.minting_secrets import MintingApi


async def revoke(minting: MintingApi) -> list[str]:
    """Let the revoker look; return which leases are valid."""
    await minting.server.background.secret_revoker.revoke_if_leader()
    return [*minting.secrets.leases]


@pytest.mark.parametrize("state", [State.DONE, State.ERROR, State.KILLED])
async def test_a_secret_ends_with_its_job(minting: MintingApi, state: State) -> None:
    """While the job runs it is valid, and the server has not revoked it."""
    slot, lease, _ = await minting.begin("db")
    await minting.read(slot, lease)
    assert len(await revoke(minting)) == 1

    await minting.work(slot, reports=[report_of(lease, state)], lease=False)

    assert await revoke(minting) == []


async def test_the_secret_of_a_lost_slot_ends(minting: MintingApi) -> None:
    """The next attempt of the job has another one."""
    slot, lease, _ = await minting.begin("db")
    await minting.read(slot, lease)
    (first,) = await revoke(minting)

    await minting.lose(slot)
    slot = await minting.slot()
    (lease,) = (await minting.work(slot)).leases
    await minting.read(slot, lease)

    (second,) = await revoke(minting)
    assert first != second


async def test_a_killed_job_has_no_secret(minting: MintingApi) -> None:
    """Its slot reports the end, and then the secret ends; also after kill -9 of the server."""
    slot, lease, token = await minting.begin("db")
    await minting.read(slot, lease)
    await minting.use_cases.jobs.kill.kill(ACCOUNT, [(token.jid, token.jid)])
    await minting.work(slot, reports=[report_of(lease, State.KILLED)], lease=False)
    leases = minting.secrets.leases

    await minting.stop()
    await minting.start()
    minting.secrets.leases = leases

    assert await revoke(minting) == []


async def test_a_store_that_is_away_is_asked_again(minting: MintingApi) -> None:
    """After some seconds, until it has revoked everything."""
    jobs = [await minting.begin("db") for _ in range(2)]
    for slot, lease, _ in jobs:
        await minting.read(slot, lease)
        await minting.work(slot, reports=[report_of(lease)], lease=False)
    minting.secrets.failure = Unavailable("sealed")
    assert len(await revoke(minting)) == 2
    minting.secrets.failure = None

    assert len(await revoke(minting)) == 2
    minting.now += 5

    assert await revoke(minting) == []


async def test_only_the_leader_revokes(minting: MintingApi) -> None:
    """Another process leaves it to the leader."""
    slot, lease, _ = await minting.begin("db")
    await minting.read(slot, lease)
    await minting.work(slot, reports=[report_of(lease)], lease=False)
    minting.server.background.autoscaler.is_leader = False

    assert len(await revoke(minting)) == 1
    minting.server.background.autoscaler.is_leader = True
    assert await revoke(minting) == []


async def test_without_minted_secrets_nothing_is_read(minting: MintingApi) -> None:
    """A server that mints nothing reads the store once in half a minute for it."""
    await revoke(minting)
    minting.state.scans.clear()

    for _ in range(20):
        minting.now += 1
        await revoke(minting)

    assert minting.state.scans == []
