"""Minted secrets: one for each attempt of a job, until the attempt ends."""

from __future__ import annotations

import pytest
from picloud_api.usecases.accounts.secrets.minted_secret import MintedRecord
from picloud_model.errors import RequestRefused, Unavailable

from tests.unit.api.api_harness import report_of
from tests.unit.api.minting_secrets import CANARY, OWNER, VALID_S, MintingApi

LEASE = "database/creds/reports"


async def test_a_job_gets_a_secret_of_its_own(minting: MintingApi) -> None:
    """It is made when the slot asks, not at the submit; what is stored has no value of it."""
    one, two = await minting.begin("db"), await minting.begin("db")
    assert minting.secrets.leases == []

    values = [await minting.read(*job[:2]) for job in (one, two)]

    assert values == [[{"DB_PASSWORD": CANARY}]] * 2
    assert minting.secrets.leases == [f"{LEASE}/2", f"{LEASE}/3"]
    stored = b"".join([entry.value for entry in await minting.state.scan("")])
    assert LEASE.encode() in stored
    assert CANARY.encode() not in stored


async def test_a_slot_that_asks_again_gets_another_one(minting: MintingApi) -> None:
    """The answer may have been lost: what it had is revoked, although the job runs."""
    slot, lease, _ = await minting.begin("db")
    await minting.read(slot, lease)
    await minting.read(slot, lease)

    await minting.server.background.secret_revoker.revoke_if_leader()

    assert minting.secrets.leases == [f"{LEASE}/3"]


async def test_a_store_that_is_away_lets_the_slot_wait(minting: MintingApi) -> None:
    """No secret of several stays valid that the job does not get; errors have no path."""
    await minting.define("other", variables={"OTHER": "user"})
    slot, lease, _ = await minting.begin("db", "other")
    minting.secrets.failure, minting.secrets.limit = Unavailable(f"{LEASE}: sealed"), 3

    for _ in range(3):
        with pytest.raises(Unavailable, match="'other' cannot mint a secret now") as away:
            await minting.read(slot, lease)
        minting.secrets.limit += 1
        assert LEASE not in away.value.message
    minting.secrets.failure = None
    values = await minting.read(slot, lease)
    await minting.server.background.secret_revoker.revoke_if_leader()

    assert values == [{"DB_PASSWORD": CANARY}, {"OTHER": "me"}]
    assert len(minting.secrets.leases) == 2


async def test_a_source_that_refuses_fails_the_job(minting: MintingApi) -> None:
    """The error names the source, and nothing of Vault; so does a field that is missing."""
    slot, lease, _ = await minting.begin("db")
    minting.secrets.failure, minting.secrets.limit = RequestRefused(f"{LEASE}: no role"), 0

    with pytest.raises(RequestRefused, match="'db' mints nothing for this job") as refused:
        await minting.read(slot, lease)

    assert LEASE not in refused.value.message
    minting.secrets.failure = None
    await minting.use_cases.accounts.secret_sources.remove(OWNER, "db")
    with pytest.raises(RequestRefused, match="no secret 'db' in your account"):
        await minting.read(slot, lease)


async def test_what_cannot_be_recorded_is_revoked(minting: MintingApi) -> None:
    """No later look would find it."""
    slot, lease, token = await minting.begin("db")
    commits = minting.server.context.commits
    (record,) = (await commits.view.scan("secret_sources/")).values()
    await commits.view.state.close()

    with pytest.raises(Unavailable):
        await minting.use_cases.accounts.minted_secrets._mint(token, "db", record)

    assert minting.secrets.leases == []
    del slot, lease


async def test_a_job_that_runs_for_long_keeps_its_secret(minting: MintingApi) -> None:
    """It is renewed at half of its time, until the store refuses."""
    minted = minting.use_cases.accounts.minted_secrets
    slot, lease, _ = await minting.begin("db")
    await minting.read(slot, lease)
    ((key, record),) = (await minted.unrevoked()).items()

    assert await minted.tend(key, record) == record
    minting.now += VALID_S / 2
    renewed = await minted.tend(key, record)
    assert renewed is not None
    assert renewed.renew_at == minting.now + VALID_S / 2
    assert minting.secrets.renewed == [f"{LEASE}/2"]
    minting.secrets.may_be_renewed = False
    minting.now += VALID_S / 2
    ended = await minted.tend(key, renewed)

    assert ended is not None
    assert ended.renew_at == 0
    assert (await minted.unrevoked()) == {key: ended}
    await minting.work(slot, reports=[report_of(lease)], lease=False)
    assert await minted.tend(key, ended) is None
    assert await minting.state.scan(MintedRecord.prefix) == []
