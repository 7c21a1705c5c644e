"""Secrets: stored for each account, checked at submit, handed to the slot that holds the job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from picloud_api.usecases.accounts.secrets.secret import SecretRecord, Secrets, secret_key
from picloud_model.errors import (
    RequestConflict,
    RequestRefused,
    SecretNotFound,
    TooLarge,
    Unavailable,
)
from picloud_model.wire import AttemptRef
from picloud_model.wire.secret import MAX_SECRETS, JobSecret, SetSecretRequest

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from picloud_api.store.draft import Draft

    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.minting_secrets import MintingApi

OTHER = "a0000002"
CANARY = "canary-7c2e"


async def put(api: ApiHarness, name: str = "db", account: str = ACCOUNT, **values: str) -> None:
    """Set a secret."""
    await api.use_cases.accounts.secrets.set(account, SetSecretRequest(name=name, values=values))


async def test_a_secret_is_listed_without_its_values(api: ApiHarness) -> None:
    """The latest values replace earlier ones; neither the list nor the state store has any."""
    secrets = api.use_cases.accounts.secrets
    await put(api, OLD=CANARY)
    api.now += 5
    await put(api, USER="me", PASSWORD=CANARY)

    (listed,) = (await secrets.list(ACCOUNT)).secrets
    assert (listed.name, listed.variables, listed.set_at) == ("db", ["PASSWORD", "USER"], api.now)
    assert CANARY not in repr(listed)
    stored = b"".join([entry.value for entry in await api.state.scan("")])
    assert b"PASSWORD" in stored
    assert CANARY.encode() not in stored


async def test_accounts_have_their_own(api: ApiHarness) -> None:
    """Another account neither sees, uses nor removes a secret; a removed one is gone."""
    secrets = api.use_cases.accounts.secrets
    await put(api, account=OTHER, PASSWORD=CANARY)

    assert (await secrets.list(ACCOUNT)).secrets == []
    with pytest.raises(SecretNotFound, match=r"no secret 'db' in your account\."):
        await secrets.remove(ACCOUNT, "db")
    with pytest.raises(RequestRefused, match="'db' in your account: set it first"):
        await api.submit(1, secrets=["db"])
    assert await api.server.ports.secrets.get(f"users/{OTHER}/db") is not None
    await secrets.remove(OTHER, "db")
    assert await api.server.ports.secrets.get(f"users/{OTHER}/db") is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "at least one variable"),
        ({"1A": CANARY}, "'1A' cannot name a variable"),
        ({"": CANARY}, "'' cannot name a variable"),
        ({"A=B": CANARY}, "cannot name a variable"),
        ({"A\n": CANARY}, "cannot name a variable"),
        ({"A": CANARY + "\0"}, "value of A has a NUL"),
        ({"A": CANARY + "\ud800"}, "not valid Unicode"),
    ],
)
async def test_impossible_values_are_refused(
    api: ApiHarness, values: dict[str, str], message: str
) -> None:
    """In a sentence that names the variable, but has no value in it; nothing is stored."""
    with pytest.raises(RequestRefused, match=message) as refused:
        await put(api, **values)

    assert CANARY not in refused.value.message
    assert (await api.use_cases.accounts.secrets.list(ACCOUNT)).secrets == []


async def test_there_are_limits(api: ApiHarness) -> None:
    """60,000 bytes a secret, 100 secrets an account; a full account may still replace one."""
    with pytest.raises(TooLarge, match="60,000 bytes, not 60,002"):
        await put(api, A="x" * 60_001)
    await put(api, A="x" * 59_999)

    async def fill(draft: Draft) -> None:
        for number in range(1, MAX_SECRETS):
            draft.put(secret_key(ACCOUNT, f"s{number}"), SecretRecord(["A"], False, 0.0))

    await api.server.context.commits.run(fill)
    with pytest.raises(RequestConflict, match="up to 100 secrets"):
        await put(api, "more", A="x")
    await put(api, A="y")


async def test_a_submit_is_refused_what_no_job_can_have(api: ApiHarness) -> None:
    """A name is guessed; two secrets, or a secret and the options, do not set one variable."""
    await put(api, "database", USER="me")
    await put(api, "other", USER="you")

    with pytest.raises(RequestRefused, match=r"'datbase' .*; did you mean 'database'\?"):
        await api.submit(1, secrets=["datbase"])
    with pytest.raises(RequestRefused, match=r"'database' and the secret 'other' cannot both set"):
        await api.submit(1, secrets=["database", "other"])
    with pytest.raises(RequestRefused, match=r"environment variables and the secret 'other'"):
        await api.submit(1, secrets=["other"], os_env_vars={"USER": "x"})
    await api.submit(1, secrets=["other", "other"])


async def test_a_slot_reads_the_secrets_of_a_job_that_it_holds(api: ApiHarness) -> None:
    """Those that are set now, in the order of the options; other slots and jobs get none."""
    secrets = api.use_cases.accounts.secrets
    await put(api, USER="me")
    await secrets.set(ACCOUNT, SetSecretRequest(name="tls", values={"PEM": "k"}, as_file=True))
    await api.submit(1, secrets=["tls", "db"])
    slot, other = await api.slot(), await api.slot()
    (lease,) = (await api.work(slot)).leases
    job = AttemptRef(lease.batch, 0, lease.jobs[0].attempt)
    await put(api, USER="changed")

    answer = await secrets.of_job(slot, job)

    assert answer.secrets == [JobSecret({"PEM": "k"}, as_file=True), JobSecret({"USER": "changed"})]
    for session, ref in (
        (other, job),
        (slot, replace(job, attempt=9)),
        (slot, replace(job, index=1)),
    ):
        with pytest.raises(RequestRefused, match="does not hold the job"):
            await secrets.of_job(session, ref)
    await secrets.remove(ACCOUNT, "db")
    with pytest.raises(RequestRefused, match="no secret 'db' in your account"):
        await secrets.of_job(slot, job)


async def test_what_was_set_or_read_is_there_while_the_store_is_away(minting: MintingApi) -> None:
    """A process that has neither waits for the store; what is minted needs it, too."""
    secrets = minting.use_cases.accounts.secrets
    await secrets.set(ACCOUNT, SetSecretRequest(name="key", values={"KEY": CANARY}))
    slot, lease, _ = await minting.begin("key")
    ref = AttemptRef(lease.batch, 0, lease.jobs[0].attempt)
    another = another_process(minting)
    minting.secrets.is_away = True

    assert await minting.read(slot, lease) == [{"KEY": CANARY}]
    with pytest.raises(Unavailable, match="sealed"):
        await another.of_job(slot, ref)
    minting.secrets.is_away = False
    assert (await another.of_job(slot, ref)).secrets == [JobSecret({"KEY": CANARY})]
    minting.secrets.is_away = True
    assert (await another.of_job(slot, ref)).secrets == [JobSecret({"KEY": CANARY})]


async def test_a_change_by_another_process_counts_at_once(minting: MintingApi) -> None:
    """The values in memory are those of an earlier time; nor are those of a removed secret used."""
    secrets, another = minting.use_cases.accounts.secrets, another_process(minting)
    await secrets.set(ACCOUNT, SetSecretRequest(name="key", values={"KEY": "one"}))
    slot, lease, _ = await minting.begin("key")
    assert await minting.read(slot, lease) == [{"KEY": "one"}]
    minting.now += 1

    await another.set(ACCOUNT, SetSecretRequest(name="key", values={"KEY": "two"}))

    assert await minting.read(slot, lease) == [{"KEY": "two"}]
    minting.now += 1
    await another.set(ACCOUNT, SetSecretRequest(name="key", values={"KEY": "three"}))
    minting.secrets.is_away = True
    with pytest.raises(Unavailable):
        await minting.read(slot, lease)
    minting.secrets.is_away = False
    await another.remove(ACCOUNT, "key")
    with pytest.raises(RequestRefused, match="no secret 'key' in your account"):
        await minting.read(slot, lease)


def another_process(minting: MintingApi) -> Secrets:
    """Return the secrets as another process has them, which has neither set nor read any."""
    used = minting.use_cases.accounts
    return Secrets(minting.server.context, minting.secrets, used.minted_secrets)


async def test_jobs_without_secrets_cost_no_read(api: ApiHarness) -> None:
    """Neither a submit nor a lease reads what is stored of secrets."""
    await put(api, USER="me")
    await api.submit(1)
    slot = await api.slot()
    api.state.reads.clear()
    api.state.scans.clear()

    await api.submit(1)
    await api.work(slot)

    read = [*api.state.scans, *(key for keys in api.state.reads for key in keys)]
    assert [key for key in read if key.startswith(SecretRecord.prefix)] == []
