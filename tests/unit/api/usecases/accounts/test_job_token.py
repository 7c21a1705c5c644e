"""Job tokens: valid for one attempt, while its slot holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_model.errors import TokenRefused
from picloud_model.token import JobToken, slot_key

from tests.unit.api.api_harness import ACCOUNT, report_of

if TYPE_CHECKING:
    from picloud_api.engine.process.slot_sessions import SlotSession

    from tests.unit.api.api_harness import ApiHarness


def token_of(api: ApiHarness, slot: SlotSession, jid: int, attempt: int = 1) -> str:
    """Return the token that a slot signs for a job."""
    key = api.use_cases.accounts.job_tokens.key_for(ACCOUNT, slot.number)
    return JobToken(ACCOUNT, slot.number, jid, attempt).signed(key)


async def test_a_held_attempt_is_recognised(api: ApiHarness) -> None:
    """While a slot holds a job, its token identifies the account and the job."""
    (jid,) = await api.submit(1)
    slot = await api.slot()
    await api.work(slot)

    caller = await api.use_cases.accounts.accounts.recognise(token_of(api, slot, jid))

    assert caller[:2] == (ACCOUNT, jid)


async def test_a_token_ends_with_the_attempt(api: ApiHarness) -> None:
    """Once the job has ended, or its slot was lost, the token is refused."""
    jids = await api.submit(2)
    slot = await api.slot()
    (lease,) = (await api.work(slot)).leases
    (again,) = (await api.work(slot, reports=[report_of(lease)])).leases
    first, second = (token_of(api, slot, jid) for jid in jids)
    assert again.jobs[0].index == 1
    assert (await api.use_cases.accounts.accounts.recognise(second)).jid == jids[1]

    await api.lose(slot)

    for token in (first, second):
        with pytest.raises(TokenRefused):
            await api.use_cases.accounts.accounts.recognise(token)


async def test_a_job_that_is_not_held_has_no_token(api: ApiHarness) -> None:
    """A token for a job that the slot does not hold, or that does not exist, is refused."""
    jids = await api.submit(2)
    slot = await api.slot()
    await api.work(slot)

    for jid in (jids[1], 1000):
        with pytest.raises(TokenRefused):
            await api.use_cases.accounts.accounts.recognise(token_of(api, slot, jid))


async def test_a_slot_signs_for_its_own_account_only(api: ApiHarness) -> None:
    """The key of a slot is derived for its account, and cannot sign tokens of another."""
    (jid,) = await api.submit(1)
    slot = await api.slot()
    await api.work(slot)
    key = api.use_cases.accounts.job_tokens.key_for("a0000002", slot.number)
    forged = JobToken(ACCOUNT, slot.number, jid, 1).signed(key)

    for text in (forged, "pj_", "pj_" + "x" * 500, forged[:-1]):
        with pytest.raises(TokenRefused):
            await api.use_cases.accounts.accounts.authenticate(text)


def test_keys_differ() -> None:
    """Each slot and each account has a key of its own."""
    keys = {slot_key(b"s", account, slot) for account in ("a1", "a2") for slot in (1, 2)}

    assert len(keys) == 4
